package io.groupreduce.testkit;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * A small softmax of ragged size and a rough compression of it: two bases, groups of several codecs and scale formats, a dense
 * and a zero group. The dense matrix is the product of random factors plus noise; the compression lacks the noise, and its left
 * numbers are a fifth off, which training can mend.
 */
final class CalibrationCase {
    private static final int BASES = 2;
    private static final int DENSE_BLOCK = 8;

    final long seed;
    final int rows;
    final int columns;
    final Matrix dense;
    final float[] bias;
    final CompressedMatrix start;
    private final int[] ranks;
    private final float[][] right;

    /**
     * A case for the seed; odd seeds have a bias.
     *
     * @param only the codec of all factors of a smaller case; {@code null} for every codec and scale format
     */
    CalibrationCase(Arena arena, long seed, Codec only) {
        this.seed = seed;
        SplittableRandom random = new SplittableRandom(seed);
        int leastRows = only == null ? 330 : 60;
        rows = leastRows + random.nextInt(leastRows);
        columns = 13 + random.nextInt(30);
        ranks = new int[] {5 + random.nextInt(8), 3 + random.nextInt(4)};
        List<GroupPlan> plans = List.of(
                GroupPlan.of(0, ranks[0], only == null ? Codec.INT4 : only),
                GroupPlan.of(0, ranks[0] - 2, only == null ? Codec.INT3 : only),
                GroupPlan.of(1, ranks[1], only == null ? Codec.INT8 : only),
                GroupPlan.of(1, ranks[1] - 1, Codec.F32),
                GroupPlan.of(0, 2, only == null ? Codec.BF16 : only),
                GroupPlan.dense(columns, Codec.INT8),
                GroupPlan.zero(),
                only == null ? new GroupPlan(0, BitProfile.of(6, 4, 2, 2, 1)) : GroupPlan.of(0, 5, only));
        right = new float[BASES][];
        for (int b = 0; b < BASES; b++) {
            right[b] = normal(random, ranks[b] * columns, 1 / Math.sqrt(columns));
        }
        byte[] groupOf = new byte[rows];
        float[] a = new float[rows * columns];
        float[][] factors = new float[rows][];
        for (int i = 0; i < rows; i++) {
            groupOf[i] = (byte) random.nextInt(plans.size());
            factors[i] = row(random, plans.get(groupOf[i]), a, i * columns);
        }
        dense = Matrix.of("seed " + seed, a, rows, columns);
        bias = seed % 2 == 0 ? null : normal(random, rows, 0.5);
        start = store(arena, plans, groupOf, factors, only);
    }

    private static float[] normal(SplittableRandom random, int count, double scale) {
        float[] values = new float[count];
        for (int j = 0; j < count; j++) {
            values[j] = (float) (scale * random.nextGaussian());
        }
        return values;
    }

    /** Writes a row of the dense matrix and returns what the compression stores of it. */
    private float[] row(SplittableRandom random, GroupPlan plan, float[] a, int at) {
        float[] noise = normal(random, columns, 0.1);
        System.arraycopy(noise, 0, a, at, columns);
        if (plan.isZero()) {
            return new float[0];
        }
        if (plan.isDense()) {
            return noise;
        }
        float[] left = normal(random, plan.rank(), 1);
        for (int k = 0; k < plan.rank(); k++) {
            for (int j = 0; j < columns; j++) {
                a[at + j] += left[k] * right[plan.basis()][k * columns + j];
            }
        }
        float[] error = normal(random, plan.rank(), 0.2);
        for (int k = 0; k < plan.rank(); k++) {
            left[k] += error[k];
        }
        return left;
    }

    private CompressedMatrix store(Arena arena, List<GroupPlan> plans, byte[] groupOf, float[][] factors, Codec only) {
        List<EncodedMatrix> left = new ArrayList<>();
        ScaleFormat[] formats = ScaleFormat.values();
        for (int g = 0; g < plans.size(); g++) {
            GroupPlan plan = plans.get(g);
            int group = g;
            float[][] members = IntStream.range(0, rows)
                    .filter(i -> groupOf[i] == group)
                    .mapToObj(i -> factors[i])
                    .toArray(float[][]::new);
            int block = plan.isDense() ? DENSE_BLOCK : plan.rank();
            left.add(plan.isZero() ? null : encode(arena, members, plan.profile(), block, formats[g % formats.length]));
        }
        List<EncodedMatrix> stored = new ArrayList<>();
        for (int b = 0; b < BASES; b++) {
            float[][] members = new float[ranks[b]][];
            for (int k = 0; k < ranks[b]; k++) {
                members[k] = Arrays.copyOfRange(right[b], k * columns, (k + 1) * columns);
            }
            Codec codec = only != null ? only : b == 0 ? Codec.INT8 : Codec.INT4;
            stored.add(encode(
                    arena,
                    members,
                    BitProfile.of(codec, columns),
                    columns,
                    b == 0 ? ScaleFormat.BF16 : ScaleFormat.LOG8));
        }
        return new CompressedMatrix("seed " + seed, columns, groupOf, plans, left, stored);
    }

    private static EncodedMatrix encode(
            Arena arena, float[][] members, BitProfile profile, int block, ScaleFormat format) {
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, members.length, block, format);
        for (int i = 0; i < members.length; i++) {
            matrix.encodeRow(i, members[i], 0);
        }
        return matrix;
    }

    CalibrationProblem problem(boolean trainBias) {
        return new CalibrationProblem(dense, bias, start, trainBias);
    }

    /** Hidden states that make logits of a few nats. */
    float[] hidden(long stream, int count) {
        float[] values = Generators.powerLaw(100 * seed + stream, count, columns, 0.2);
        for (int j = 0; j < values.length; j++) {
            values[j] *= 2;
        }
        return values;
    }

    String at(String what) {
        return what + ", seed " + seed + ", " + rows + " x " + columns;
    }

    /** The softmax of hidden state {@code t} with rows {@code matrix}, in doubles. */
    double[] softmax(float[] matrix, float[] bias, float[] hidden, int t) {
        double[] e = new double[rows];
        double sum = 0;
        for (int i = 0; i < rows; i++) {
            double logit = bias[i];
            for (int j = 0; j < columns; j++) {
                logit += (double) matrix[i * columns + j] * hidden[t * columns + j];
            }
            e[i] = Math.exp(logit);
            sum += e[i];
        }
        for (int i = 0; i < rows; i++) {
            e[i] /= sum;
        }
        return e;
    }

    /** The mean KL in nats of a compression with its own bias, as the reference compares. */
    double kl(CompressedMatrix compressed, float[] hidden) {
        int count = hidden.length / columns;
        TokenScores scores = new ReferenceBackend()
                .compare(new SoftmaxComparison(
                        dense,
                        bias,
                        compressed,
                        compressed.bias(),
                        Matrix.of("hidden", hidden, count, columns),
                        null,
                        1));
        double total = 0;
        for (int t = 0; t < count; t++) {
            total += scores.expectedGap()[t] - scores.denseLogSumExp()[t] + scores.compressedLogSumExp()[t];
        }
        return total / count;
    }
}
