package io.groupreduce.vector.compress;

import static io.groupreduce.vector.compress.Distortions.ROWS;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.internal.rows.Levels;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.Directions;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import java.util.List;

/**
 * What every row loses under every plan.
 *
 * <pre>distortion(i, p) = w_i (e_i - ||c_i[0 : k_p]||^2 + rounding error),   c_i = A_i P_b: D numbers times D x k_b</pre>
 *
 * <p>A task transposes a tile of rows and multiplies the directions of each basis with it, so that coordinates come out with a
 * row in each lane; {@link RowErrors} makes distortions of them. Bytes: 4 N D read, the projections (4 K D, K the sum of
 * ranks) from the caches once a tile, 4 N P written. Never materialised: coordinates beyond one basis and one tile.
 */
final class Rating {
    /** Directions that pass by all panels of a tile before the next ones do. */
    private static final int PASS = 16 * Lanes.MR;

    private final Matrix matrix;
    private final float[] weights;
    private final float[] energies;
    private final List<GroupPlan> plans;
    private final Levels[] levels;
    private final float[][] projections;
    private final float[][] scales;
    private final float[][] errorWeights;
    /** trace(S^2): what uniform noise of variance 1 in every number of a row loses. */
    private final double noise;

    /** Prepares what the plans need. */
    Rating(CompressionProblem problem, float[] energies, List<Directions> bases, List<GroupPlan> plans) {
        matrix = problem.matrix();
        weights = problem.weights();
        this.energies = energies;
        this.plans = plans;
        int count = bases.size();
        levels = new Levels[count];
        projections = new float[count][];
        scales = new float[count][];
        errorWeights = new float[count][];
        for (int b = 0; b < count; b++) {
            Directions directions = bases.get(b);
            levels[b] = Levels.of(plans, b);
            int longest = levels[b].longest();
            projections[b] = Arrays.copyOf(directions.projection(), Lanes.padRows(longest) * matrix.columns());
            scales[b] = directions.scales() == null ? ones(longest) : directions.scales();
            errorWeights[b] = directions.scales() == null ? ones(longest) : directions.errorWeights();
        }
        double[] root = problem.metricRoot();
        noise = root == null
                ? matrix.columns()
                : Arrays.stream(root).map(s -> s * s).sum();
    }

    private static float[] ones(int length) {
        float[] ones = new float[length];
        Arrays.fill(ones, 1);
        return ones;
    }

    /** Fills {@code table}, whose plans are these. */
    void run(Workers workers, Distortions table) {
        Scratch[] scratch = new Scratch[workers.count()];
        workers.run(table.tiles(), (tile, worker) -> {
            if (scratch[worker] == null) {
                scratch[worker] = new Scratch(this);
            }
            tile(tile * ROWS, table.tile(tile), scratch[worker]);
        });
    }

    private void tile(int first, float[] target, Scratch scratch) {
        int columns = matrix.columns();
        int count = Math.min(ROWS, matrix.rows() - first);
        matrix.readRows(first, count, scratch.rows, 0);
        System.arraycopy(weights, first, scratch.weights, 0, count);
        System.arraycopy(energies, first, scratch.energies, 0, count);
        for (int p = 0; p < plans.size(); p++) {
            if (!plans.get(p).isLowRank()) {
                whole(plans.get(p), scratch, count, target, p * ROWS);
            }
        }
        if (scratch.errors.length > 0) {
            scratch.transposed.setColumns(0, scratch.rows, columns, count);
        }
        for (int b = 0; b < levels.length; b++) {
            multiply(projections[b], levels[b].longest(), scratch);
            RowErrors errors = scratch.errors[b];
            errors.of(scratch.coordinates, scratch.energies);
            for (int p = 0; p < plans.size(); p++) {
                GroupPlan plan = plans.get(p);
                if (plan.basis() == b) {
                    errors.weigh(plan, scratch.weights, target, p * ROWS);
                }
            }
        }
    }

    /** Rows that are stored as they are, or not at all. */
    private void whole(GroupPlan plan, Scratch scratch, int count, float[] target, int at) {
        int columns = matrix.columns();
        for (int r = 0; r < count; r++) {
            double energy = scratch.energies[r];
            double error;
            if (plan.isZero()) {
                error = energy;
            } else if (plan.codec().scaled()) {
                double scale = (double) largest(scratch.rows, r * columns, columns)
                        / plan.codec().maxInteger();
                error = scale * scale / 12 * noise;
            } else {
                boolean exact = plan.codec() == Codec.F32 || matrix.type() == DType.BF16;
                error = exact ? 0 : RowErrors.BF16_NOISE * energy;
            }
            target[at + r] = (float) (scratch.weights[r] * error);
        }
    }

    private static float largest(float[] values, int from, int count) {
        float largest = 0;
        for (int j = from; j < from + count; j++) {
            largest = Math.max(largest, Math.abs(values[j]));
        }
        return largest;
    }

    /** {@code coordinates[j, r] = P[:, j] . A_r}: directions are the left operand, the rows of A the right one. */
    private void multiply(float[] projection, int rank, Scratch scratch) {
        int columns = matrix.columns();
        for (int j = 0; j < rank; j += PASS) {
            int count = Math.min(PASS, rank - j);
            for (int p = 0; p < scratch.transposed.panels(); p++) {
                float[] panel = scratch.transposed.panel(p);
                int to = j * ROWS + p * NR;
                Gemm.panel(projection, j * columns, columns, count, columns, panel, scratch.coordinates, to, ROWS);
            }
        }
    }

    /** Memory of one worker. */
    private static final class Scratch {
        private final float[] rows;
        private final float[] weights = new float[ROWS];
        private final float[] energies = new float[ROWS];
        private final PackedMatrix transposed;
        private final float[] coordinates;
        private final RowErrors[] errors;

        Scratch(Rating rating) {
            int columns = rating.matrix.columns();
            rows = new float[ROWS * columns];
            transposed = new PackedMatrix(columns, ROWS);
            int longest = 0;
            errors = new RowErrors[rating.levels.length];
            for (int b = 0; b < errors.length; b++) {
                errors[b] = new RowErrors(rating.levels[b], rating.plans, b, rating.scales[b], rating.errorWeights[b]);
                longest = Math.max(longest, rating.levels[b].longest());
            }
            coordinates = new float[Lanes.padRows(longest) * ROWS];
        }
    }
}
