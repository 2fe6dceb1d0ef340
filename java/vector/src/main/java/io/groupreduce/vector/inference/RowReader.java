package io.groupreduce.vector.inference;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * Single rows, from the file's own layout.
 *
 * <pre>A^[i, :] = L_p[slot(i), :] R_b[0 : k_p, :]</pre>
 *
 * <p>Bytes a row: its codes, and k_p D of R_b from the caches.
 */
final class RowReader {
    private final CompressedMatrix matrix;
    private final Pool<float[]> coordinates;

    RowReader(CompressedMatrix matrix) {
        this.matrix = matrix;
        coordinates = new Pool<>(() -> new float[matrix.columns()]);
    }

    /** Reads the row of a token into {@code target[offset .. offset + D)}. */
    void read(int token, float[] target, int offset) {
        int group = matrix.group(token);
        GroupPlan plan = matrix.groups().get(group);
        int columns = matrix.columns();
        if (plan.isDense()) {
            matrix.left(group).decodeRow(matrix.slot(token), target, offset);
            return;
        }
        Arrays.fill(target, offset, offset + columns, 0f);
        if (plan.isZero() || plan.rank() == 0) {
            return;
        }
        float[] left = coordinates.acquire();
        matrix.left(group).decodeRow(matrix.slot(token), left, 0);
        float[] right = matrix.decodedRight(plan.basis());
        for (int k = 0; k < plan.rank(); k++) {
            add(left[k], right, k * columns, target, offset, columns);
        }
        coordinates.release(left);
    }

    private static void add(float factor, float[] source, int from, float[] target, int to, int count) {
        FloatVector factors = FloatVector.broadcast(FLOATS, factor);
        int j = 0;
        for (; j + LANES <= count; j += LANES) {
            FloatVector.fromArray(FLOATS, source, from + j)
                    .fma(factors, FloatVector.fromArray(FLOATS, target, to + j))
                    .intoArray(target, to + j);
        }
        for (; j < count; j++) {
            target[to + j] = Math.fma(factor, source[from + j], target[to + j]);
        }
    }

    /** The row of a token times a projected hidden state. */
    double dot(int token, StateProjection projection, int state) {
        int group = matrix.group(token);
        GroupPlan plan = matrix.groups().get(group);
        if (plan.isZero() || plan.rank() == 0) {
            return 0;
        }
        int index = projection.index(plan.basis());
        float[] z = projection.z[index];
        int from = state * projection.stride(index);
        float[] left = coordinates.acquire();
        matrix.left(group).decodeRow(matrix.slot(token), left, 0);
        double sum = 0;
        for (int k = 0; k < plan.rank(); k++) {
            sum += (double) left[k] * z[from + k];
        }
        coordinates.release(left);
        return sum;
    }
}
