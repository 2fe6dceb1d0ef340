package io.groupreduce.cuda.training;

import io.groupreduce.cuda.TestProfiles;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A softmax and a rough compression of it with many profiles and every scale format, a scale a row and several, a dense group,
 * one of zeros, one of rank 0 and one without rows; odd seeds have a bias.
 */
final class TrainingCase {
    private static final int BLOCK = 8;
    private static final int[] RANKS = {19, 8};

    final long seed;
    final int rows;
    final int columns = 27;
    final Matrix dense;
    final float[] bias;
    final CompressedMatrix compressed;
    private final SplittableRandom random;

    TrainingCase(Arena arena, long seed, int rows, DType type) {
        this.seed = seed;
        this.rows = rows;
        random = new SplittableRandom(seed);
        List<GroupPlan> plans = List.of(
                GroupPlan.of(0, 19, Codec.INT4),
                GroupPlan.of(1, 8, Codec.INT8),
                GroupPlan.of(0, 12, Codec.BF16),
                GroupPlan.dense(columns, Codec.INT8),
                new GroupPlan(0, TestProfiles.falling(7, 11)),
                GroupPlan.of(1, 3, Codec.F32),
                GroupPlan.zero(),
                GroupPlan.of(1, 0, Codec.F32),
                GroupPlan.of(0, 5, Codec.INT4));
        byte[] groupOf = new byte[rows];
        int[] sizes = new int[plans.size()];
        for (int i = 0; i < rows; i++) {
            groupOf[i] = (byte) random.nextInt(plans.size() - 1);
            sizes[groupOf[i]]++;
        }
        List<EncodedMatrix> right = new ArrayList<>();
        right.add(normal(arena, BitProfile.of(Codec.INT8, columns), RANKS[0], BLOCK, ScaleFormat.BF16, 0.2));
        right.add(normal(arena, TestProfiles.falling(6, columns), RANKS[1], columns, ScaleFormat.LOG8, 0.2));
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < plans.size(); g++) {
            GroupPlan plan = plans.get(g);
            int block = g % 2 == 0 ? BLOCK : Math.max(1, plan.rank());
            ScaleFormat format = ScaleFormat.values()[g % 3];
            left.add(plan.isZero() ? null : normal(arena, plan.profile(), sizes[g], block, format, 1));
        }
        compressed = new CompressedMatrix("seed " + seed, columns, groupOf, plans, left, right);
        float[] values = new float[rows * columns];
        compressed.decodeRows(0, rows, values, 0);
        for (int x = 0; x < values.length; x++) {
            values[x] += 0.2f * (float) random.nextGaussian();
        }
        dense = stored(values, type);
        bias = seed % 2 == 0 ? null : Generators.powerLaw(seed, rows, 1, 0);
    }

    private EncodedMatrix normal(
            Arena arena, BitProfile profile, int rows, int block, ScaleFormat format, double scale) {
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, rows, block, format);
        float[] row = new float[profile.width()];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < row.length; j++) {
                row[j] = (float) (scale * random.nextGaussian());
            }
            matrix.encodeRow(i, row, 0);
        }
        return matrix;
    }

    private Matrix stored(float[] values, DType type) {
        MemorySegment data = MemorySegment.ofArray(new byte[values.length * type.bytes()]);
        for (int x = 0; x < values.length; x++) {
            switch (type) {
                case F32 -> data.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * x, values[x]);
                case F16 -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * x, Float.floatToFloat16(values[x]));
                default ->
                    data.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * x, (short)
                            (Float.floatToRawIntBits(values[x]) >>> 16));
            }
        }
        return Matrix.of("seed " + seed, type, rows, columns, data);
    }

    float[] hidden(long stream, int count) {
        return Generators.powerLaw(1000 * seed + stream, count, columns, 0.2);
    }

    CalibrationProblem problem(boolean trainBias) {
        return new CalibrationProblem(dense, bias, compressed, trainBias);
    }

    /** Both heads over {@code count} hidden states; odd seeds have a bias of the compressed head's own and targets. */
    SoftmaxComparison comparison(int count, int topK) {
        int[] targets = seed % 2 == 0 ? null : random.ints(count, 0, rows).toArray();
        float[] ownBias = seed % 2 == 0 ? null : Generators.powerLaw(seed + 100, rows, 1, 0);
        Matrix hidden = Matrix.of("hidden", hidden(7, count), count, columns);
        return new SoftmaxComparison(dense, bias, compressed, ownBias, hidden, targets, topK);
    }

    String at(String what) {
        return what + ", seed " + seed + ", " + rows + " x " + columns;
    }
}
