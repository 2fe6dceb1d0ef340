package io.groupreduce.vector.compress;

import static io.groupreduce.vector.compress.Distortions.ROWS;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.internal.rows.Levels;
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
 * <pre>distortion(i, p) = w_i (e_i - ||c_i[0 : k_p]||^2 + error of codes),   c_i = A_i P_b: D numbers times D x k_b</pre>
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
    /** trace(S^2) / D: what a squared error of 1, alike in all directions, loses. */
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
        noise = root == null ? 1 : Arrays.stream(root).map(s -> s * s).sum() / matrix.columns();
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
        scratch.transposed.setColumns(0, scratch.rows, columns, count);
        for (int p = 0; p < plans.size(); p++) {
            if (!plans.get(p).isLowRank()) {
                whole(p, scratch, count, target);
            }
        }
        for (int b = 0; b < levels.length; b++) {
            multiply(projections[b], levels[b].longest(), scratch);
            scratch.errors[b].of(scratch.coordinates, scratch.energies, scratch.weights, target);
        }
    }

    /** Rows that are stored as they are, or not at all. */
    private void whole(int p, Scratch scratch, int count, float[] target) {
        GroupPlan plan = plans.get(p);
        float[] errors = scratch.whole;
        if (scratch.dense[p] != null) {
            scratch.dense[p].of(scratch.transposed, count, errors);
        }
        boolean exact = plan.profile().most() == Float.SIZE || matrix.type() == DType.BF16;
        for (int r = 0; r < count; r++) {
            double energy = scratch.energies[r];
            double error = plan.isZero() ? energy : exact ? 0 : RowErrors.BF16_NOISE * energy;
            if (scratch.dense[p] != null) {
                error = errors[r] * noise;
            }
            target[p * ROWS + r] = (float) (scratch.weights[r] * error);
        }
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
        /** By plan, {@code null} for all but dense rows of codes. */
        private final DenseErrors[] dense;

        private final float[] whole = new float[ROWS];

        Scratch(Rating rating) {
            int columns = rating.matrix.columns();
            rows = new float[ROWS * columns];
            transposed = new PackedMatrix(columns, ROWS);
            int longest = 0;
            errors = new RowErrors[rating.levels.length];
            for (int b = 0; b < errors.length; b++) {
                errors[b] = new RowErrors(rating.plans, b, rating.scales[b], rating.errorWeights[b]);
                longest = Math.max(longest, rating.levels[b].longest());
            }
            dense = rating.plans.stream()
                    .map(p -> p.isDense() && p.profile().scaled() ? new DenseErrors(p) : null)
                    .toArray(DenseErrors[]::new);
            coordinates = new float[Lanes.padRows(longest) * ROWS];
        }
    }
}
