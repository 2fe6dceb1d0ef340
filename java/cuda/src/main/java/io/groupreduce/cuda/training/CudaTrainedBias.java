package io.groupreduce.cuda.training;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.matrix.Bf16;
import java.lang.foreign.MemorySegment;

/**
 * A bias in training: its numbers, what Adam remembers of them, and what is stored of them, rounded to bfloat16. 16
 * bytes a row.
 */
final class CudaTrainedBias {
    /** What steps are relative to, in nats. */
    private static final double SIZE = 0.3;

    private static final int THREADS = 128;

    private final Device device;
    private final int rows;
    private final DeviceMemory values;
    private final DeviceMemory first;
    private final DeviceMemory second;
    private final DeviceMemory stored;
    private final DeviceMemory sums;
    private final Kernel kernel;
    private final Parameters parameters = new Parameters(128);

    /**
     * Starts as {@code bias}, or as zeros when that is {@code null}.
     *
     * @param tileRows the most rows that are moved together
     * @throws OutOfDeviceMemoryException if there is no room
     */
    CudaTrainedBias(Owned owned, float[] bias, int rows, int tileRows) {
        device = owned.device();
        this.rows = rows;
        kernel = device.kernel("gr_training_bias");
        float[] start = bias == null ? new float[rows] : bias;
        float[] rounded = new float[rows];
        for (int i = 0; i < rows; i++) {
            rounded[i] = Bf16.widen(Bf16.round(start[i]));
        }
        values = owned.copy(MemorySegment.ofArray(start), "the bias");
        first = owned.zeros(4L * rows, "the bias's first moments");
        second = owned.zeros(4L * rows, "the bias's second moments");
        stored = owned.copy(MemorySegment.ofArray(rounded), "the stored bias");
        sums = owned.allocate(4L * tileRows, "the gradient of the bias of a tile");
    }

    /** The device address of what is stored, by row. */
    long address() {
        return stored.address();
    }

    /**
     * Adds the gradients of some states of a batch, and after the last ones moves the bias of a tile.
     *
     * @param pair holds the gradient by the logits of a tile, in place of the compressed ones
     * @param last whether no states of the batch follow
     */
    void add(CudaLogitTiles pair, int tile, int firstState, int states, boolean last, CudaAdamStep step) {
        int count = pair.tiles().count(tile);
        parameters.reset().address(pair.compressedLogits(), sums.address(), pair.order(), values.address());
        parameters.address(first.address(), second.address(), stored.address());
        parameters.f32((float) (step.length() * SIZE), step.secondScale());
        parameters.i32(pair.tiles().first(tile), count, pair.stride(), states);
        parameters.i32(firstState == 0 ? 1 : 0, last ? 1 : 0);
        kernel.launch(Math.ceilDiv(count, THREADS), THREADS, parameters);
    }

    /** Waits until the card is through and reads what is stored. */
    float[] read() {
        float[] values = new float[rows];
        device.download(stored, 0, MemorySegment.ofArray(values));
        return values;
    }
}
