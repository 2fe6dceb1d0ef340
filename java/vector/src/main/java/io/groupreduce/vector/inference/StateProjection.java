package io.groupreduce.vector.inference;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import jdk.incubator.vector.FloatVector;

/**
 * Some hidden states and their coordinates in every basis; the last basis number stands for the hidden states themselves.
 *
 * <pre>Z_b = H R_b^T,   H: B x D, R_b: k_b x D, Z_b: B x k_b</pre>
 *
 * <p>One task is one panel of NR directions. Bytes: each R_b once, as {@link PackedHead#right} has it, so that a direction is a lane and
 * no sum crosses lanes. A few states are multiplied one by one, each as if it were alone, and get what kernels and bounds need besides.
 */
final class StateProjection implements Workers.Task {
    /** By basis padRows(states) rows of {@link #stride} coordinates. */
    final float[][] z;
    /** Of a few states, by group what kernels take; {@code null} where rows are zero. */
    final TileLayout.Folded[] folded;

    private final PackedHead.Group[] groups;
    private final PackedMatrix[] right;
    private final int columns;
    private final double[][] squares;
    private final double[][] magnitudes;
    private int room;
    private int states;
    private int folds;
    private boolean few;

    StateProjection(PackedHead head) {
        right = head.right;
        columns = head.columns;
        int count = right.length + 1;
        z = new float[count][];
        squares = new double[count][];
        magnitudes = new double[count][];
        groups = head.groups;
        folded = new TileLayout.Folded[groups.length];
    }

    /**
     * Makes room for so many states, which go to {@link #hidden}.
     *
     * @param each whether they are a few, each to be treated as if it were alone
     */
    void reserve(int count, boolean each) {
        states = count;
        few = each;
        if (count > room) {
            room = count;
            for (int b = 0; b < z.length; b++) {
                z[b] = new float[Lanes.padRows(count) * stride(b) + Lanes.NR];
            }
        }
        if (few && count > folds) {
            folds = count;
            for (int b = 0; b < z.length; b++) {
                squares[b] = new double[count * (stride(b) + 1)];
                magnitudes[b] = new double[count * (stride(b) + 1)];
            }
            for (int g = 0; g < groups.length; g++) {
                folded[g] = groups[g].layout() == null ? null : groups[g].layout().new Folded(count);
            }
        }
    }

    /** The states, rows of D numbers. */
    float[] hidden() {
        return z[z.length - 1];
    }

    /** The place of the coordinates that a group with this basis number meets. */
    int index(int basis) {
        return basis == GroupPlan.DENSE ? z.length - 1 : basis;
    }

    /** Floats between one state and the next: k_b in whole panels, of which those beyond k_b come out 0; D of the states themselves. */
    int stride(int index) {
        return index == right.length ? columns : Lanes.padColumns(right[index].columns());
    }

    /** Panels of directions. */
    int tasks() {
        int total = 0;
        for (PackedMatrix basis : right) {
            total += basis.panels();
        }
        return total;
    }

    /** What all tasks read of the right factors. */
    long bytes() {
        long total = 0;
        for (PackedMatrix basis : right) {
            total += 4L * columns * basis.columns();
        }
        return total;
    }

    /** Computes one panel of directions for all states. */
    @Override
    public void run(int task, int worker) {
        int b = 0;
        int p = task;
        while (p >= right[b].panels()) {
            p -= right[b++].panels();
        }
        if (few) {
            for (int state = 0; state < states; state++) {
                single(right[b].panel(p), state * columns, z[b], state * stride(b) + p * NR);
            }
        } else {
            Gemm.panel(hidden(), 0, columns, states, columns, right[b].panel(p), z[b], p * NR, stride(b));
        }
    }

    /** Two vectors of directions at a time and two sums each, or each would wait for its own last addition. */
    private void single(float[] panel, int from, float[] target, int to) {
        float[] hidden = hidden();
        for (int lane = 0; lane < NR; lane += 2 * LANES) {
            FloatVector a = FloatVector.zero(FLOATS);
            FloatVector b = a;
            FloatVector c = a;
            FloatVector d = a;
            int j = 0;
            int at = lane;
            for (; j + 2 <= columns; j += 2, at += 2 * NR) {
                FloatVector u = FloatVector.broadcast(FLOATS, hidden[from + j]);
                FloatVector v = FloatVector.broadcast(FLOATS, hidden[from + j + 1]);
                a = FloatVector.fromArray(FLOATS, panel, at).fma(u, a);
                b = FloatVector.fromArray(FLOATS, panel, at + LANES).fma(u, b);
                c = FloatVector.fromArray(FLOATS, panel, at + NR).fma(v, c);
                d = FloatVector.fromArray(FLOATS, panel, at + NR + LANES).fma(v, d);
            }
            if (j < columns) {
                FloatVector u = FloatVector.broadcast(FLOATS, hidden[from + j]);
                a = FloatVector.fromArray(FLOATS, panel, at).fma(u, a);
                b = FloatVector.fromArray(FLOATS, panel, at + LANES).fma(u, b);
            }
            a.add(c).intoArray(target, to + lane);
            b.add(d).intoArray(target, to + lane + LANES);
        }
    }

    /** After a few states were projected: running sums over the coordinates of one, and what every group's kernels take of them. */
    void prepare(int state) {
        for (int b = 0; b < z.length; b++) {
            int from = state * stride(b);
            int at = state * (stride(b) + 1);
            for (int d = 0; d < stride(b); d++, at++) {
                float value = z[b][from + d];
                squares[b][at + 1] = squares[b][at] + (double) value * value;
                magnitudes[b][at + 1] = magnitudes[b][at] + Math.abs(value);
            }
        }
        for (int g = 0; g < groups.length; g++) {
            if (folded[g] != null) {
                int index = index(groups[g].basis());
                folded[g].fold(state, z[index], state * stride(index));
            }
        }
    }

    /** At least the norm of a state's coordinates from direction {@code from} up to {@code to}. */
    float norm(int state, int index, int from, int to) {
        int at = state * (stride(index) + 1);
        double rest = Math.max(0, squares[index][at + to] - squares[index][at + from]);
        return Math.nextUp((float) Math.sqrt(rest + 1e-14 * squares[index][at + to]));
    }

    /** sum of |z| of a state's first {@code to} directions. */
    float magnitude(int state, int index, int to) {
        return (float) magnitudes[index][state * (stride(index) + 1) + to];
    }

    /** Whether the coordinates of a state are numbers in every basis; they are not where they left single precision. */
    boolean finite(int state) {
        for (int b = 0; b < right.length; b++) {
            float sum = 0;
            int from = state * stride(b);
            for (int d = from; d < from + stride(b); d++) {
                // 0 times a number is 0, and times anything else is not a number.
                sum += z[b][d] * 0;
            }
            if (sum != 0) {
                return false;
            }
        }
        return true;
    }
}
