package io.groupreduce.testkit;

import io.groupreduce.api.Metric;
import io.groupreduce.internal.compress.MetricRoot;
import io.groupreduce.internal.compress.Weights;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** A small compression problem of ragged size with planted outliers, different for every seed; even seeds have a metric. */
final class CompressionCase {
    static final int BASES = 3;

    final long seed;
    final Matrix matrix;
    final CompressionProblem problem;
    final byte[] basisOf;
    final int[] ranks;

    CompressionCase(long seed) {
        this(seed, 300 + new SplittableRandom(~seed).nextInt(900));
    }

    CompressionCase(long seed, int rows) {
        this(seed, rows, 0);
    }

    /** Fewer rows than columns, in all bases together. */
    static CompressionCase wide(long seed) {
        return new CompressionCase(seed, 40 + new SplittableRandom(~seed).nextInt(30), 90);
    }

    /** More rows than columns, of which basis 1 has fewer. */
    static CompressionCase withASmallBasis(long seed) {
        CompressionCase c = new CompressionCase(seed);
        int few = 8 + (int) (seed % 10);
        for (int i = 0; i < c.basisOf.length; i++) {
            c.basisOf[i] = i < few ? 1 : c.basisOf[i] == 1 ? 0 : c.basisOf[i];
        }
        return c;
    }

    private CompressionCase(long seed, int rows, int moreColumns) {
        this.seed = seed;
        SplittableRandom random = new SplittableRandom(seed);
        int columns = moreColumns + 17 + random.nextInt(60);
        float[] values = Generators.powerLaw(seed, rows, columns, 0.7);
        Generators.plantOutliers(seed, values, 5, 30);
        matrix = Matrix.of("seed " + seed, values, rows, columns);
        long[] counts = Generators.zipf(seed, rows, 1e5);
        float[] weights = Weights.scaledToMeanOne(Weights.raw(counts, 1));
        float[] others = Weights.scaledToMeanOne(Weights.raw(counts, 0.6));
        if (seed % 2 == 0) {
            MetricRoot metric = MetricRoot.of(
                    new DenseAlgebra(new ReferenceBackend()::forEach),
                    new Metric("seed " + seed, columns, Generators.moment(seed, columns)));
            problem = new CompressionProblem(matrix, weights, others, metric.root(), metric.rootInverse());
        } else {
            problem = new CompressionProblem(matrix, weights, others, null, null);
        }
        basisOf = new byte[rows];
        for (int i = 0; i < rows; i++) {
            int b = random.nextInt(BASES + 1);
            basisOf[i] = (byte) (b == BASES ? GroupPlan.DENSE : b);
        }
        // Basis 0 never captures all of its rows: dense may win or lose against what has no residual.
        ranks = new int[] {
            Math.min(1 + random.nextInt(columns), rowsOf(0) - 1), Math.min(7, rowsOf(1)), Math.min(columns, rowsOf(2))
        };
    }

    private int rowsOf(int basis) {
        int count = 0;
        for (byte b : basisOf) {
            count += b == basis ? 1 : 0;
        }
        return count;
    }

    /** Bits that fall from {@code most} to 1, as rate-distortion makes them. */
    static BitProfile falling(int most, int width) {
        return BitProfile.of(
                IntStream.range(0, width).map(j -> most - most * j / width).toArray());
    }

    /** The bases' rows as low-rank groups, rows without a basis as a dense group. */
    byte[] groupOf() {
        byte[] groupOf = basisOf.clone();
        for (int i = 0; i < groupOf.length; i++) {
            groupOf[i] = (groupOf[i] & 0xff) == GroupPlan.DENSE ? (byte) BASES : groupOf[i];
        }
        return groupOf;
    }

    /** Accumulates and decomposes. */
    List<Spectrum> spectra(CompressionWorkspace workspace, byte[] basisOf) {
        workspace.accumulate(basisOf, BASES);
        return workspace.decompose(ranks);
    }

    /** The directions that a basis was asked for; the second one's with scales. */
    Directions directions(CompressionWorkspace workspace, int basis) {
        Directions directions = workspace.directions(basis, ranks[basis]);
        float[] scales = new float[ranks[basis]];
        for (int k = 0; k < scales.length; k++) {
            scales[k] = 1 + 0.25f * k;
        }
        return basis == 1 ? directions.withScales(scales) : directions;
    }

    /** {@code w_i ||A_i S||^2}. */
    double weightedEnergy(int row) {
        float[] values = new float[matrix.columns()];
        matrix.readRow(row, values, 0);
        double sum = 0;
        double[] root = problem.metricRoot();
        int columns = values.length;
        for (int j = 0; j < columns; j++) {
            double y = root == null ? values[j] : 0;
            for (int k = 0; root != null && k < columns; k++) {
                y += values[k] * root[k * columns + j];
            }
            sum += y * y;
        }
        return sum * problem.weights()[row];
    }

    String at(String what) {
        return what + ", seed " + seed + ", " + matrix.rows() + " x " + matrix.columns();
    }
}
