package io.groupreduce.vector.compress;

import io.groupreduce.internal.linear.SymmetricEigen;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.Workers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * The eigenpairs of a symmetric tridiagonal matrix by divide and conquer (Cuppen, 1981): halves that differ from the whole by a matrix
 * of rank one are solved, then joined by {@link RankOneUpdate}. Values are exact to double precision, vectors to single precision: only
 * their first and last numbers, which joining needs, are kept in double.
 *
 * @param values ascending
 * @param vectors vector j belongs to {@code values[j]}
 * @param first the first number of every vector
 * @param last the last number of every vector
 */
record TridiagonalEigen(double[] values, float[][] vectors, double[] first, double[] last) {
    /** Matrices of up to this order are solved whole. */
    private static final int WHOLE = 48;

    /**
     * Decomposes a matrix.
     *
     * @param diagonal length n; numbers of a size near 1
     * @param beside length n - 1
     */
    static TridiagonalEigen of(Workers workers, double[] diagonal, double[] beside) {
        int n = diagonal.length;
        int parts = Integer.highestOneBit(Math.max(1, Math.ceilDiv(n, WHOLE) * 2 - 1));
        double[] torn = diagonal.clone();
        int[] begin = new int[parts + 1];
        for (int p = 0; p <= parts; p++) {
            begin[p] = (int) ((long) n * p / parts);
        }
        for (int p = 1; p < parts; p++) {
            double size = Math.abs(beside[begin[p] - 1]);
            torn[begin[p] - 1] -= size;
            torn[begin[p]] -= size;
        }
        TridiagonalEigen[] solved = new TridiagonalEigen[parts];
        workers.run(parts, (p, worker) -> solved[p] = whole(torn, beside, begin[p], begin[p + 1]));
        List<TridiagonalEigen> level = new ArrayList<>(Arrays.asList(solved));
        for (int step = 1; step < parts; step *= 2) {
            int pairs = level.size() / 2;
            TridiagonalEigen[] joined = new TridiagonalEigen[pairs];
            List<TridiagonalEigen> below = level;
            int apart = step;
            // Many small ones keep all threads busy with one each; the last and largest take them all.
            boolean together = pairs >= 2 * workers.count();
            Workers outer = together ? workers : Workers.NONE;
            Workers inner = together ? Workers.NONE : workers;
            outer.run(pairs, (p, worker) -> {
                double edge = beside[begin[(2 * p + 1) * apart] - 1];
                joined[p] = join(inner, below.get(2 * p), below.get(2 * p + 1), edge);
                // What was joined is as large as the result: it goes as soon as it can.
                below.set(2 * p, null);
                below.set(2 * p + 1, null);
            });
            level = new ArrayList<>(Arrays.asList(joined));
        }
        return level.get(0);
    }

    private static TridiagonalEigen whole(double[] diagonal, double[] beside, int from, int to) {
        int n = to - from;
        double[] dense = new double[n * n];
        for (int j = 0; j < n; j++) {
            dense[j * n + j] = diagonal[from + j];
            if (j + 1 < n) {
                dense[j * n + j + 1] = beside[from + j];
                dense[(j + 1) * n + j] = beside[from + j];
            }
        }
        SymmetricEigen eigen = SymmetricEigen.of(dense, n);
        double[] values = new double[n];
        float[][] vectors = new float[n][n];
        double[] first = new double[n];
        double[] last = new double[n];
        for (int j = 0; j < n; j++) {
            int descending = n - 1 - j;
            values[j] = eigen.values()[descending];
            for (int i = 0; i < n; i++) {
                vectors[j][i] = (float) eigen.vectors()[descending * n + i];
            }
            first[j] = eigen.vectors()[descending * n];
            last[j] = eigen.vectors()[descending * n + n - 1];
        }
        return new TridiagonalEigen(values, vectors, first, last);
    }

    /**
     * The whole of two parts: {@code diag(a, b) + |edge| u u^T} with u = (.., 0, 1, sign(edge), 0, ..) where they meet.
     */
    private static TridiagonalEigen join(Workers workers, TridiagonalEigen a, TridiagonalEigen b, double edge) {
        int n = a.values.length + b.values.length;
        int split = a.values.length;
        double[] values = new double[n];
        double[] z = new double[n];
        double[] first = new double[n];
        double[] last = new double[n];
        float[][] vectors = new float[n][];
        int[] order = merged(a.values, b.values);
        for (int i = 0; i < n; i++) {
            boolean lower = order[i] >= split;
            int at = lower ? order[i] - split : order[i];
            TridiagonalEigen part = lower ? b : a;
            values[i] = part.values[at];
            // u has the length sqrt(2).
            z[i] = Math.sqrt(0.5) * (lower ? Math.signum(edge) * b.first[at] : a.last[at]);
            first[i] = lower ? 0 : a.first[at];
            last[i] = lower ? b.last[at] : 0;
            vectors[i] = new float[Lanes.padColumns(n)];
            System.arraycopy(part.vectors[at], 0, vectors[i], lower ? split : 0, lower ? n - split : split);
            part.vectors[at] = null;
        }
        TridiagonalEigen torn = new TridiagonalEigen(values, vectors, first, last);
        new RankOneUpdate(workers, torn, 2 * Math.abs(edge), z).run();
        return torn.ascending();
    }

    /** Places of the numbers of two ascending arrays, one after the other, in ascending order of all. */
    private static int[] merged(double[] a, double[] b) {
        int[] order = new int[a.length + b.length];
        int i = 0;
        int j = 0;
        for (int k = 0; k < order.length; k++) {
            boolean fromA = j == b.length || i < a.length && a[i] <= b[j];
            order[k] = fromA ? i++ : a.length + j++;
        }
        return order;
    }

    private TridiagonalEigen ascending() {
        Integer[] order = new Integer[values.length];
        Arrays.setAll(order, j -> j);
        Arrays.sort(order, Comparator.comparingDouble((Integer j) -> values[j]));
        double[] sorted = new double[order.length];
        float[][] rows = new float[order.length][];
        double[] top = new double[order.length];
        double[] bottom = new double[order.length];
        for (int j = 0; j < order.length; j++) {
            sorted[j] = values[order[j]];
            rows[j] = vectors[order[j]];
            top[j] = first[order[j]];
            bottom[j] = last[order[j]];
        }
        return new TridiagonalEigen(sorted, rows, top, bottom);
    }
}
