package io.groupreduce.vector.inference;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.InferenceProblem;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * Single rows and single logits, from the file's own layout.
 *
 * <pre>A^[i, :] = L_p[slot(i), :] R_b[0 : k_p, :]</pre>
 *
 * <p>Bytes a row: its codes, and k_p D of R_b from the caches.
 */
final class RowReader {
    /** Rows that are fetched at a time. */
    private static final int TOGETHER = 16;

    private final CompressedMatrix matrix;
    private final float[] bias;
    private final double cap;
    private final Pool<Fetched> pool;
    /** Bytes for a row of codes. */
    private final int room;

    /** Coordinates of a row, and some rows of codes. */
    private record Fetched(float[] numbers, byte[] codes) {}

    RowReader(InferenceProblem problem) {
        matrix = problem.matrix();
        bias = problem.bias();
        cap = problem.cap();
        long longest = 0;
        for (int g = 0; g < matrix.groups().size(); g++) {
            EncodedMatrix left = matrix.left(g);
            longest = left == null || left.scalesPerRow() != 1
                    ? longest
                    : Math.max(longest, left.profile().rowBytes());
        }
        room = (int) longest + CodeProducts.OVERREAD;
        int numbers = Math.max(LANES, matrix.columns());
        pool = new Pool<>(() -> new Fetched(new float[numbers], new byte[TOGETHER * room]));
    }

    /** Bytes of factors, as binary32, that rows take. */
    long bytes(int[] tokens, int count) {
        long numbers = 0;
        for (int i = 0; i < count; i++) {
            GroupPlan plan = matrix.groups().get(matrix.group(tokens[i]));
            numbers += plan.isDense() ? 1 : 1 + plan.rank();
        }
        return Float.BYTES * numbers * matrix.columns();
    }

    /** Reads the rows of tokens {@code first .. end - 1}; that of token 0 belongs at {@code offset}. */
    void read(int[] tokens, int first, int end, float[] target, int offset) {
        for (int i = first; i < end; i++) {
            read(tokens[i], target, offset + i * matrix.columns());
        }
    }

    /** Reads the row of a token into {@code target[offset .. offset + D)}. */
    private void read(int token, float[] target, int offset) {
        int group = matrix.group(token);
        GroupPlan plan = matrix.groups().get(group);
        int columns = matrix.columns();
        if (plan.isDense()) {
            matrix.left(group).decodeRow(matrix.slot(token), target, offset);
            return;
        }
        if (plan.isZero() || plan.rank() == 0) {
            Arrays.fill(target, offset, offset + columns, 0f);
            return;
        }
        Fetched fetched = pool.acquire();
        float[] left = fetched.numbers();
        matrix.left(group).decodeRow(matrix.slot(token), left, 0);
        multiply(left, plan.rank(), matrix.decodedRight(plan.basis()), columns, target, offset);
        pool.release(fetched);
    }

    /** Sums of four vectors of columns, then of one, then of single ones stay in registers; directions come in order in all of them. */
    private static void multiply(float[] left, int rank, float[] right, int columns, float[] target, int to) {
        int j = 0;
        for (; j + 4 * LANES <= columns; j += 4 * LANES) {
            FloatVector a = FloatVector.zero(FLOATS);
            FloatVector b = a;
            FloatVector c = a;
            FloatVector d = a;
            for (int k = 0, at = j; k < rank; k++, at += columns) {
                FloatVector factor = FloatVector.broadcast(FLOATS, left[k]);
                a = FloatVector.fromArray(FLOATS, right, at).fma(factor, a);
                b = FloatVector.fromArray(FLOATS, right, at + LANES).fma(factor, b);
                c = FloatVector.fromArray(FLOATS, right, at + 2 * LANES).fma(factor, c);
                d = FloatVector.fromArray(FLOATS, right, at + 3 * LANES).fma(factor, d);
            }
            a.intoArray(target, to + j);
            b.intoArray(target, to + j + LANES);
            c.intoArray(target, to + j + 2 * LANES);
            d.intoArray(target, to + j + 3 * LANES);
        }
        for (; j + LANES <= columns; j += LANES) {
            FloatVector sum = FloatVector.zero(FLOATS);
            for (int k = 0; k < rank; k++) {
                sum = FloatVector.fromArray(FLOATS, right, k * columns + j)
                        .fma(FloatVector.broadcast(FLOATS, left[k]), sum);
            }
            sum.intoArray(target, to + j);
        }
        for (; j < columns; j++) {
            float sum = 0;
            for (int k = 0; k < rank; k++) {
                sum = Math.fma(left[k], right[k * columns + j], sum);
            }
            target[to + j] = sum;
        }
    }

    /**
     * The logits of tokens {@code from .. to - 1} for a projected hidden state; the bias and the cap are those of the head. Rows lie anywhere:
     * fetching some of them at a time takes hardly longer than one.
     */
    void logits(int[] tokens, int from, int to, StateProjection projection, int state, float[] target) {
        Fetched fetched = pool.acquire();
        for (int first = from; first < to; first += TOGETHER) {
            int end = Math.min(to, first + TOGETHER);
            for (int i = first; i < end; i++) {
                fetch(tokens[i], fetched.codes(), (i - first) * room);
            }
            for (int i = first; i < end; i++) {
                double y = dot(tokens[i], projection, state, (i - first) * room, fetched);
                y += bias == null ? 0 : bias[tokens[i]];
                // Not Math.tanh, which compiled code may answer differently.
                target[i] = (float) (cap == 0 ? y : cap * StrictMath.tanh(y / cap));
            }
        }
        pool.release(fetched);
    }

    private void fetch(int token, byte[] target, int to) {
        EncodedMatrix left = matrix.left(matrix.group(token));
        if (left != null && left.scalesPerRow() == 1) {
            int bytes = (int) left.profile().rowBytes();
            long at = (long) matrix.slot(token) * bytes;
            MemorySegment.copy(left.data(), ValueLayout.JAVA_BYTE, at, target, to, bytes);
        }
    }

    /** The row of a token, whose codes were fetched, times a projected hidden state. */
    private float dot(int token, StateProjection projection, int state, int at, Fetched fetched) {
        int group = matrix.group(token);
        GroupPlan plan = matrix.groups().get(group);
        if (plan.isZero() || plan.rank() == 0) {
            return 0;
        }
        int index = projection.index(plan.basis());
        float[] z = projection.z[index];
        int from = state * projection.stride(index);
        EncodedMatrix left = matrix.left(group);
        int slot = matrix.slot(token);
        if (left.scalesPerRow() == 1) {
            return CodeProducts.sum(left.profile(), fetched.codes(), at, z, from, fetched.numbers())
                    * left.scale(slot, 0);
        }
        left.decodeRow(slot, fetched.numbers(), 0);
        return CodeProducts.sum(fetched.numbers(), plan.rank(), z, from);
    }
}
