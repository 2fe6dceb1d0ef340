package io.groupreduce.vector.inference;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import jdk.incubator.vector.FloatVector;

/**
 * The coordinates of hidden states in every basis.
 *
 * <pre>Z_b = H R_b^T,   H: B x D, R_b: k_b x D, Z_b: B x k_b</pre>
 *
 * <p>Bytes: each R_b once, as binary32 with the directions in panels, so that a direction is a lane and no sum crosses lanes. One task is
 * one panel of NR directions.
 */
final class StateProjection {
    private final PackedMatrix[] right;
    private final int columns;
    private final int[] basisOfTask;
    private final int[] panelOfTask;

    StateProjection(CompressedMatrix matrix) {
        columns = matrix.columns();
        right = new PackedMatrix[matrix.bases()];
        int tasks = 0;
        for (int b = 0; b < right.length; b++) {
            int rank = (int) matrix.right(b).rows();
            right[b] = PackedMatrix.ofTransposed(matrix.decodedRight(b), columns, rank, columns);
            tasks += right[b].panels();
        }
        basisOfTask = new int[tasks];
        panelOfTask = new int[tasks];
        int task = 0;
        for (int b = 0; b < right.length; b++) {
            for (int p = 0; p < right[b].panels(); p++) {
                basisOfTask[task] = b;
                panelOfTask[task++] = p;
            }
        }
    }

    int bases() {
        return right.length;
    }

    /** Floats between the coordinates of one state and the next: k_b in whole panels; those beyond k_b come out 0. */
    int stride(int basis) {
        return Lanes.padColumns(right[basis].columns());
    }

    int tasks() {
        return basisOfTask.length;
    }

    long bytes() {
        long total = 0;
        for (PackedMatrix basis : right) {
            total += 4L * columns * basis.columns();
        }
        return total;
    }

    /**
     * One panel of directions for all states.
     *
     * @param hidden padRows(states) rows of D numbers
     * @param z per basis padRows(states) rows of {@link #stride}
     */
    void project(int task, float[] hidden, int states, float[][] z) {
        int b = basisOfTask[task];
        int p = panelOfTask[task];
        if (states == 1) {
            single(hidden, right[b].panel(p), z[b], p * NR);
        } else {
            Gemm.panel(hidden, 0, columns, states, columns, right[b].panel(p), z[b], p * NR, stride(b));
        }
    }

    /** Two vectors of directions at a time and two sums each, or each would wait for its own last addition. */
    private void single(float[] hidden, float[] panel, float[] z, int to) {
        for (int lane = 0; lane < NR; lane += 2 * LANES) {
            FloatVector a = FloatVector.zero(FLOATS);
            FloatVector b = a;
            FloatVector c = a;
            FloatVector d = a;
            int j = 0;
            int at = lane;
            for (; j + 2 <= columns; j += 2, at += 2 * NR) {
                FloatVector u = FloatVector.broadcast(FLOATS, hidden[j]);
                FloatVector v = FloatVector.broadcast(FLOATS, hidden[j + 1]);
                a = FloatVector.fromArray(FLOATS, panel, at).fma(u, a);
                b = FloatVector.fromArray(FLOATS, panel, at + LANES).fma(u, b);
                c = FloatVector.fromArray(FLOATS, panel, at + NR).fma(v, c);
                d = FloatVector.fromArray(FLOATS, panel, at + NR + LANES).fma(v, d);
            }
            if (j < columns) {
                FloatVector u = FloatVector.broadcast(FLOATS, hidden[j]);
                a = FloatVector.fromArray(FLOATS, panel, at).fma(u, a);
                b = FloatVector.fromArray(FLOATS, panel, at + LANES).fma(u, b);
            }
            a.add(c).intoArray(z, to + lane);
            b.add(d).intoArray(z, to + lane + LANES);
        }
    }
}
