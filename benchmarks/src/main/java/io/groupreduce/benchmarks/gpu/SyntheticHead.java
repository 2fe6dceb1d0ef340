package io.groupreduce.benchmarks.gpu;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Softmax heads with random factors: speed depends on shapes and bytes, not on what the numbers say. Low-rank heads have five groups
 * of falling rank over one basis, as compressions of a vocabulary by frequency have.
 */
final class SyntheticHead {
    private static final long SEED = 42;

    /** Of the vocabulary, the most frequent first, and their ranks relative to each other. */
    private static final double[] SHARES = {0.01, 0.04, 0.15, 0.3, 0.5};

    private static final double[] RANKS = {8, 4, 2, 1, 0.5};

    private SyntheticHead() {}

    /**
     * A low-rank head.
     *
     * @param ratio how many times smaller than BF16 it shall be; ranks are multiples of 4 and so come near
     */
    static CompressedMatrix ofRatio(int rows, int columns, Codec codec, double ratio, Arena arena) {
        double bytes = 2.0 * rows * columns / ratio;
        int[] ranks = new int[RANKS.length];
        double low = 0;
        double high = columns;
        for (int step = 0; step < 60; step++) {
            double middle = (low + high) / 2;
            if (bytes(rows, columns, codec, ranks(ranks, middle, columns)) > bytes) {
                high = middle;
            } else {
                low = middle;
            }
        }
        return lowRank(rows, columns, codec, ranks(ranks, low, columns), arena);
    }

    /** One group at one rank. */
    static CompressedMatrix ofRank(int rows, int columns, Codec codec, int rank, Arena arena) {
        return assemble(
                columns,
                new byte[rows],
                List.of(GroupPlan.of(0, rank, codec)),
                List.of(random(codec, rows, rank, arena)),
                List.of(random(codec == Codec.F32 ? Codec.F32 : Codec.INT8, rank, columns, arena)));
    }

    /** Rows as they are. */
    static CompressedMatrix dense(int rows, int columns, Codec codec, Arena arena) {
        return assemble(
                columns,
                new byte[rows],
                List.of(GroupPlan.dense(columns, codec)),
                List.of(random(codec, rows, columns, arena)),
                List.of());
    }

    private static int[] ranks(int[] ranks, double base, int columns) {
        for (int g = 0; g < ranks.length; g++) {
            ranks[g] = (int) Math.max(4, Math.min(columns, Math.floor(base * RANKS[g] / 4) * 4));
        }
        return ranks;
    }

    private static double bytes(int rows, int columns, Codec codec, int[] ranks) {
        double bytes = rows
                + EncodedMatrix.storedBytes(BitProfile.of(Codec.INT8, columns), ranks[0], columns, ScaleFormat.BF16);
        for (int g = 0; g < ranks.length; g++) {
            bytes += EncodedMatrix.storedBytes(
                    BitProfile.of(codec, ranks[g]), Math.round(SHARES[g] * rows), ranks[g], ScaleFormat.BF16);
        }
        return bytes;
    }

    private static CompressedMatrix lowRank(int rows, int columns, Codec codec, int[] ranks, Arena arena) {
        byte[] groupOf = new byte[rows];
        int[] sizes = new int[ranks.length];
        int first = 0;
        double reached = 0;
        for (int g = 0; g < ranks.length; g++) {
            reached += SHARES[g];
            int end = g == ranks.length - 1 ? rows : (int) Math.round(reached * rows);
            for (int i = first; i < end; i++) {
                groupOf[i] = (byte) g;
            }
            sizes[g] = end - first;
            first = end;
        }
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < ranks.length; g++) {
            plans.add(GroupPlan.of(0, ranks[g], codec));
            left.add(random(codec, sizes[g], ranks[g], arena));
        }
        return assemble(columns, groupOf, plans, left, List.of(random(Codec.INT8, ranks[0], columns, arena)));
    }

    private static CompressedMatrix assemble(
            int columns, byte[] groupOf, List<GroupPlan> plans, List<EncodedMatrix> left, List<EncodedMatrix> right) {
        return new CompressedMatrix("head", columns, groupOf, plans, left, right);
    }

    /** Random numbers of magnitude about one; of a large matrix the same megabytes again and again. */
    private static EncodedMatrix random(Codec codec, int rows, int width, Arena arena) {
        EncodedMatrix matrix =
                EncodedMatrix.allocate(arena, BitProfile.of(codec, width), rows, width, ScaleFormat.BF16);
        SplittableRandom random = new SplittableRandom(SEED + width);
        int sample =
                (int) Math.min(rows, Math.max(1, (8L << 20) / matrix.profile().rowBytes()));
        float[] row = new float[width];
        for (int i = 0; i < sample; i++) {
            for (int j = 0; j < width; j++) {
                row[j] = (float) (random.nextDouble() * 2 - 1);
            }
            matrix.encodeRow(i, row, 0);
        }
        repeat(matrix.data(), sample * matrix.profile().rowBytes());
        if (codec.scaled()) {
            repeat(matrix.scales(), (long) sample * Short.BYTES);
        }
        return matrix;
    }

    private static void repeat(MemorySegment target, long period) {
        for (long at = period; at < target.byteSize(); at += period) {
            long count = Math.min(period, target.byteSize() - at);
            MemorySegment.copy(target, ValueLayout.JAVA_BYTE, 0, target, ValueLayout.JAVA_BYTE, at, count);
        }
    }
}
