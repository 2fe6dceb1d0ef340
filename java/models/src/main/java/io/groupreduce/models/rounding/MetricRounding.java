package io.groupreduce.models.rounding;

import io.groupreduce.api.Metric;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.linear.Parallel;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Rounds the rows of a matrix A, N x D, to a {@link BlockFormat} so that {@code sum_i w_i ||(A_i - A^_i) S||^2} with S^2 = M becomes small,
 * where rounding to the next value only makes {@code ||A_i - A^_i||} small. Weights of rows change nothing, since rows share nothing.
 *
 * <p>Error feedback (Frantar et al. 2022; as nearest-plane decoding: Chee et al. 2023): with {@code M = F diag(d) F^T}, F unit lower
 * triangular in the order in which columns are rounded backwards, {@code e M e^T = sum_j d_j (e_j + sum_{k before j} F_kj e_k)^2}, so column
 * j is rounded next to {@code a_j + sum_k F_kj e_k}, which makes up for the errors before it, and an error in it costs d_j, which is what scales are
 * chosen for. Columns that matter most come first, block by block. Then {@link #SWEEPS} times: each block's scale moves to its optimum, and each code to
 * its own with all others held, by the gradient e M.
 *
 * <p>1.5 N D^2 multiply-adds for the feedback and the first gradient, 1 to 2 N D^2 for each sweep, in binary32, the former as products of a tile of errors
 * with a panel of F or M: 1.4 ms of a core for a row of 1,024, so 151,936 of them take about two minutes of two cores. Memory 8 D^2 bytes. Tiles are fixed, so results do not depend on the
 * threads.
 */
public final class MetricRounding {
    /** Relative to the mean of the diagonal: directions that were hardly met are not free to be wrong. */
    static final double RIDGE = 1e-2;

    /** Times that scales and codes are moved after the feedback. */
    private static final int SWEEPS = 2;

    /** Rows that share a pass over F and M. */
    private static final int TILE = 32;

    private static final double LEAST_STRETCH = 0.5;

    /** Reads consecutive rows as binary32 into {@code target} from {@code offset} on; by several threads at once. */
    @FunctionalInterface
    public interface Rows {
        void read(int first, int count, float[] target, int offset);
    }

    private final int columns;
    private final int block;

    /** Blocks in the order in which they are rounded; all that follows is in that order. */
    private final int[] blocks;

    /** Row k: what an error in column k adds to the targets of the columns after it. {@code null} where nothing does. */
    private final float[] feedback;

    private final float[] moment;
    private final float[] importance;

    private MetricRounding(int columns, int block, int[] blocks, float[] feedback, float[] moment, float[] importance) {
        this.columns = columns;
        this.block = block;
        this.blocks = blocks;
        this.feedback = feedback;
        this.moment = moment;
        this.importance = importance;
    }

    /** Rounding of every number to the value next to it, with scales of least error. */
    public static MetricRounding plain(int columns, int block) {
        float[] ones = new float[columns];
        Arrays.fill(ones, 1);
        int[] inOrder = IntStream.range(0, Math.ceilDiv(columns, block)).toArray();
        return new MetricRounding(columns, block, inOrder, null, null, ones);
    }

    /**
     * Rounding under a metric, for formats whose blocks have {@code block} numbers.
     *
     * @param metric positive semidefinite; M, of which only the direction counts and not the size
     */
    public static MetricRounding of(Metric metric, int block, Parallel threads) {
        int n = metric.columns();
        double[] m = metric.moment();
        if (isDiagonal(m, n)) {
            MetricRounding plain = plain(n, block);
            for (int j = 0; j < n; j++) {
                plain.importance[j] = (float) (m[j * n + j] * n / metric.trace());
            }
            return plain;
        }
        int[] blocks = mattering(m, n, block);
        int[] order = Arrays.stream(blocks)
                .flatMap(b -> IntStream.range(b * block, Math.min(n, (b + 1) * block)))
                .toArray();
        double unit = n / metric.trace();
        double[] backwards = new double[n * n];
        float[] moment = new float[n * n];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                double value = m[order[i] * n + order[j]] * unit + (i == j ? RIDGE : 0);
                moment[i * n + j] = (float) value;
                backwards[(n - 1 - i) * n + n - 1 - j] = value;
            }
        }
        new DenseAlgebra(threads).cholesky(backwards, n);
        // Backwards L L^T with L_jj = sqrt(d_j): L_kj / L_jj of a later k is how much of e_j a change of e_k takes
        // away.
        float[] feedback = new float[n * n];
        float[] importance = new float[n];
        for (int j = 0; j < n; j++) {
            double[] l = backwards;
            int row = n - 1 - j;
            double pivot = l[row * n + row];
            importance[order[j]] = (float) (pivot * pivot);
            for (int k = 0; k < j; k++) {
                feedback[k * n + j] = (float) (l[(n - 1 - k) * n + row] / pivot);
            }
        }
        return new MetricRounding(n, block, blocks, feedback, moment, importance);
    }

    private static boolean isDiagonal(double[] m, int n) {
        return IntStream.range(0, n * n).allMatch(at -> at / n == at % n || m[at] == 0);
    }

    /** The blocks in falling order of their diagonal's mean. */
    private static int[] mattering(double[] m, int n, int block) {
        double[] means = IntStream.range(0, Math.ceilDiv(n, block))
                .mapToDouble(b -> IntStream.range(b * block, Math.min(n, (b + 1) * block))
                        .mapToDouble(j -> m[j * n + j])
                        .average()
                        .orElseThrow())
                .toArray();
        return IntStream.range(0, means.length)
                .boxed()
                .sorted((a, b) -> Double.compare(means[b], means[a]))
                .mapToInt(Integer::intValue)
                .toArray();
    }

    /**
     * Rounds {@code rows} rows and has each stored.
     *
     * @param format its blocks are as long as this rounding was made for
     */
    public void round(Rows source, int rows, BlockFormat format, Parallel threads) {
        if (format.block() != block) {
            throw new IllegalArgumentException(
                    "blocks of " + format.block() + " under rounding for blocks of " + block);
        }
        threads.forEach(Math.ceilDiv(rows, TILE), tile -> {
            int first = tile * TILE;
            new Tile(source, first, Math.min(TILE, rows - first), format).round();
        });
    }

    /** Some rows while they are rounded, their columns in the order of rounding. */
    private final class Tile {
        private final int first;
        private final int count;
        private final BlockFormat.RowCode[] codes;
        private final float[] targets;
        private final float[] errors;
        private final float[] values = new float[columns];

        Tile(Rows source, int first, int count, BlockFormat format) {
            this.first = first;
            this.count = count;
            codes = new BlockFormat.RowCode[count];
            Arrays.setAll(codes, r -> format.row());
            errors = new float[count * columns];
            source.read(first, count, errors, 0);
            targets = new float[count * columns];
            for (int r = 0; r < count; r++) {
                int to = r * columns;
                for (int b : blocks) {
                    System.arraycopy(errors, r * columns + b * block, targets, to, length(b));
                    to += length(b);
                }
            }
            System.arraycopy(targets, 0, errors, 0, targets.length);
        }

        void round() {
            int at = 0;
            for (int b : blocks) {
                for (int r = 0; r < count; r++) {
                    roundBlock(r, b, at);
                }
                int next = at + length(b);
                if (feedback != null) {
                    addProducts(at, next, feedback, next);
                }
                at = next;
            }
            if (feedback != null) {
                // Targets are no longer needed: their place takes the gradients.
                Arrays.fill(targets, 0);
                for (int k = 0; k < columns; k += TILE) {
                    addProducts(k, Math.min(columns, k + TILE), moment, 0);
                }
                for (int r = 0; r < count; r++) {
                    for (int sweep = 0; sweep < SWEEPS; sweep++) {
                        move(r);
                    }
                }
            }
            for (int r = 0; r < count; r++) {
                codes[r].store(first + r);
            }
        }

        /** Rounds a block of a row, whose columns begin at {@code at}; errors hold the numbers themselves until then. */
        private void roundBlock(int r, int b, int at) {
            int row = r * columns;
            int end = at + length(b);
            codes[r].fit(b, targets, row + at, end - at, importance);
            for (int j = at; j < end; j++) {
                float error = errors[row + j] - codes[r].round(b * block + j - at, targets[row + j]);
                errors[row + j] = error;
                if (feedback != null) {
                    addScaled(targets, row, error, feedback, j * columns, j + 1, end);
                }
            }
        }

        /** Moves the scale of every block of a row, and then every code, to where the loss is least with all else held. */
        private void move(int r) {
            int row = r * columns;
            BlockFormat.RowCode code = codes[r];
            int at = 0;
            for (int b : blocks) {
                int end = at + length(b);
                int column = b * block - at;
                for (int j = at; j < end; j++) {
                    values[j] = code.value(column + j);
                }
                if (code.stretch(b, stretching(row, at, end))) {
                    for (int j = at; j < end; j++) {
                        change(row, j, code.value(column + j));
                    }
                }
                at = end;
            }
            at = 0;
            for (int b : blocks) {
                int end = at + length(b);
                for (int j = at; j < end; j++) {
                    float best = values[j] + targets[row + j] / moment[j * columns + j];
                    change(row, j, code.round(b * block + j - at, best));
                }
                at = end;
            }
        }

        /** By what the values of a block should be multiplied. */
        private float stretching(int row, int from, int to) {
            double slope = 0;
            double curve = 0;
            for (int j = from; j < to; j++) {
                slope += (double) values[j] * targets[row + j];
                float product = 0;
                for (int k = from; k < j; k++) {
                    product += values[k] * moment[j * columns + k];
                }
                curve += values[j] * (2.0 * product + values[j] * moment[j * columns + j]);
            }
            return curve > 0 ? (float) Math.clamp(1 + slope / curve, LEAST_STRETCH, 1 / LEAST_STRETCH) : 1;
        }

        private void change(int row, int j, float value) {
            float step = value - values[j];
            if (step != 0) {
                values[j] = value;
                errors[row + j] -= step;
                addScaled(targets, row, -step, moment, j * columns, 0, columns);
            }
        }

        /** {@code sums += errors[from .. to) * matrix[from .. to)} of every row, in columns from {@code left} on. */
        private void addProducts(int from, int to, float[] matrix, int left) {
            for (int r = 0; r < count; r++) {
                int row = r * columns;
                int k = from;
                for (; k + 4 <= to; k += 4) {
                    addFour(targets, row, errors, row + k, matrix, k * columns, columns, left);
                }
                for (; k < to; k++) {
                    addScaled(targets, row, errors[row + k], matrix, k * columns, left, columns);
                }
            }
        }
    }

    /** Numbers of a block of the formats that it is for. */
    public int block() {
        return block;
    }

    private int length(int b) {
        return Math.min(block, columns - b * block);
    }

    private static void addScaled(float[] sums, int to, float factor, float[] matrix, int at, int left, int right) {
        for (int j = left; j < right; j++) {
            sums[to + j] += factor * matrix[at + j];
        }
    }

    /** Adds four rows of a matrix at once: sums are read and written a quarter as often. */
    private static void addFour(
            float[] sums, int to, float[] factors, int from, float[] matrix, int at, int columns, int left) {
        float f0 = factors[from];
        float f1 = factors[from + 1];
        float f2 = factors[from + 2];
        float f3 = factors[from + 3];
        int second = at + columns;
        int third = second + columns;
        int fourth = third + columns;
        for (int j = left; j < columns; j++) {
            sums[to + j] +=
                    f0 * matrix[at + j] + f1 * matrix[second + j] + (f2 * matrix[third + j] + f3 * matrix[fourth + j]);
        }
    }
}
