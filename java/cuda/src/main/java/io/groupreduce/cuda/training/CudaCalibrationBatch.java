package io.groupreduce.cuda.training;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.WorkMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Hidden states on the card, their coordinates in every basis, and the running softmaxes of both heads.
 *
 * <pre>z_b = R_b h,   R_b: k_b x D,   for each of B hidden states</pre>
 *
 * <p>Bytes: 4 D a state, 4 a coordinate (8 where there are gradients of them), 40 a state for the softmaxes.
 */
final class CudaCalibrationBatch {
    /** Bytes of {@code GrPairState}. */
    private static final int RUNNING_BYTES = 40;

    private static final int LONGS = RUNNING_BYTES / Long.BYTES;

    private final Device device;
    private final RightFactors right;
    private final boolean trained;
    private final WorkMemory hidden;
    private final WorkMemory coordinates;
    private final WorkMemory gradients;
    private final WorkMemory running;
    private int capacity;
    private int count;

    /**
     * Room for so many states, and for more when they come.
     *
     * @param trained whether there are gradients of coordinates
     * @throws OutOfDeviceMemoryException if there is no room
     */
    CudaCalibrationBatch(Owned owned, RightFactors right, int states, boolean trained) {
        device = owned.device();
        this.right = right;
        this.trained = trained;
        hidden = owned.work("a batch of hidden states");
        coordinates = owned.work("the coordinates of hidden states");
        gradients = owned.work("the gradients of coordinates");
        running = owned.work("the running softmaxes");
        reserve(states);
    }

    private void reserve(int states) {
        // What fails half-way is taken anew by the next batch.
        capacity = 0;
        long coordinateBytes = 4L * states * right.rows();
        hidden.reserve(4L * states * right.columns());
        coordinates.reserve(coordinateBytes);
        gradients.reserve(trained ? coordinateBytes : 0);
        running.reserve((long) RUNNING_BYTES * states);
        capacity = states;
    }

    /** k_b: the coordinates of a state in a basis. */
    int rank(int basis) {
        return right.rank(basis);
    }

    /** B. */
    int count() {
        return count;
    }

    /**
     * Takes up states and computes their coordinates.
     *
     * @param values B x D row-major, as binary32 of this machine
     */
    void load(Cublas blas, MemorySegment values, int states) {
        if (states > capacity) {
            reserve(states);
        }
        count = states;
        device.upload(values, hidden.memory(), 0);
        int columns = right.columns();
        for (int b = 0; b < right.bases(); b++) {
            int rank = right.rank(b);
            if (rank > 0) {
                blas.productTransposed(count, rank, columns, hidden(0), right.address(b), coordinates(b, 0));
            }
        }
    }

    /** The device address of the hidden states from {@code state} on, D numbers each. */
    long hidden(int state) {
        return hidden.address() + 4L * state * right.columns();
    }

    /** The device address of the coordinates in a basis from {@code state} on, k_b numbers each. */
    long coordinates(int basis, int state) {
        return coordinates.address() + place(basis, state);
    }

    /** The device address of the gradients of the same coordinates. */
    long gradients(int basis, int state) {
        return gradients.address() + place(basis, state);
    }

    private long place(int basis, int state) {
        return 4L * ((long) right.firstRow(basis) * capacity + (long) right.rank(basis) * state);
    }

    /** Sets the gradients of coordinates to 0. */
    void clearGradients() {
        device.stream().clear(gradients.address(), 4L * capacity * right.rows());
    }

    /** The device address of the running softmaxes from {@code state} on. */
    long running(int state) {
        return running.address() + (long) RUNNING_BYTES * state;
    }

    /** Waits until the card is through and reads the softmaxes of the batch. */
    Softmaxes softmaxes() {
        MemorySegment found = MemorySegment.ofArray(new long[count * LONGS]);
        device.download(running.memory(), 0, found);
        return new Softmaxes(found);
    }

    /** Both softmaxes of every state, over the whole vocabulary: {@code GrPairState} of {@code training.h}. */
    record Softmaxes(MemorySegment states) {
        private double number(int state, int index) {
            return states.getAtIndex(ValueLayout.JAVA_DOUBLE, (long) state * LONGS + index);
        }

        private float maximum(int state, int index) {
            return states.get(ValueLayout.JAVA_FLOAT, (long) state * RUNNING_BYTES + 24 + 4L * index);
        }

        /** log sum exp of the dense logits x. */
        double denseLogSumExp(int state) {
            return maximum(state, 0) + Math.log(number(state, 0));
        }

        /** log sum exp of the compressed logits y. */
        double compressedLogSumExp(int state) {
            return maximum(state, 1) + Math.log(number(state, 2));
        }

        /** sum softmax(x)_i (x_i - y_i). */
        double expectedGap(int state) {
            return number(state, 1) / number(state, 0);
        }

        /** KL(dense || compressed); never negative, so what is below 0 is rounding. */
        double kl(int state) {
            return Math.max(0, expectedGap(state) - denseLogSumExp(state) + compressedLogSumExp(state));
        }
    }
}
