package io.groupreduce.internal.packed;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.PackedParts;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * A packed matrix of drawn codes, and what it was packed from: about as large as deviations, steps and gains tell, from far below a step to
 * 127 of them, and now and then 127 where no one expects it.
 *
 * @param codes of each row
 */
public record PackedFixture(
        int columns,
        byte[] groupOf,
        byte[][] codes,
        byte[] rightCodes,
        float[] rightSteps,
        PackedRows packing,
        PackedParts parts) {
    private static final int LARGEST = 127;

    /**
     * Draws.
     *
     * @param ranks of the groups, 0 for rows of zeros
     */
    public static PackedFixture of(long seed, int rows, int columns, int... ranks) {
        Random random = new Random(seed);
        int rank = Arrays.stream(ranks).max().orElseThrow();
        int[] deviations = random.ints(rank, 100, 200).toArray();
        int[] steps = Arrays.stream(ranks)
                .map(r -> r == 0 ? 0 : 110 + random.nextInt(60))
                .toArray();
        byte[] gains = new byte[ranks.length];
        for (int g = 0; g < gains.length; g++) {
            gains[g] = (byte) (random.nextInt(61) - 30);
        }
        byte[] groupOf = new byte[rows];
        byte[][] codes = new byte[rows][];
        double[] seen = new double[ranks.length];
        for (int i = 0; i < rows; i++) {
            int g = random.nextInt(1 + random.nextInt(ranks.length));
            groupOf[i] = (byte) g;
            seen[g]++;
            double size = Math.pow(2, random.nextGaussian() + gains[g] / 8.0);
            codes[i] = new byte[ranks[g]];
            for (int j = 0; j < ranks[g]; j++) {
                codes[i][j] = drawn(random, size * Math.pow(2, (deviations[j] - steps[g]) / 8.0));
            }
        }
        byte[] rightCodes = new byte[rank * columns];
        float[] rightSteps = new float[rank];
        byte[] rightDeviations = new byte[rank];
        for (int k = 0; k < rank; k++) {
            rightDeviations[k] = (byte) (random.nextInt(80) - 20);
            // A row of zeros has no step.
            rightSteps[k] = k == 1 ? 0 : (k + 1) / 256f;
            for (int j = k * columns; k != 1 && j < (k + 1) * columns; j++) {
                rightCodes[j] = drawn(random, Math.pow(2, rightDeviations[k] / 8.0));
            }
        }
        Census census = new Census();
        for (int i = 0; i < rows; i++) {
            int g = groupOf[i] & 0xff;
            CoordinateModel.first().walk(codes[i], 0, ranks[g], deviations, steps[g] - gains[g], census);
        }
        PackedRows packing = new PackedRows(deviations, steps, gains, ranks, SymbolTable.of(seen), census.model());
        byte[] right = PackedRight.pack(rightCodes, rightSteps, rightDeviations, packing.model());
        PackedParts parts = new PackedParts(
                MemorySegment.ofArray(packing.join(blocks(packing, groupOf, codes))), MemorySegment.ofArray(right));
        return new PackedFixture(columns, groupOf, codes, rightCodes, rightSteps, packing, parts);
    }

    private static byte drawn(Random random, double size) {
        double magnitude = random.nextInt(60) == 0 ? LARGEST : Math.abs(random.nextGaussian()) * size;
        int code = (int) Math.min(LARGEST, magnitude);
        return (byte) (random.nextBoolean() ? code : -code);
    }

    static List<byte[]> blocks(PackedRows packing, byte[] groupOf, byte[][] codes) {
        List<byte[]> blocks = new ArrayList<>();
        for (int first = 0; first < groupOf.length; first += PackedRows.BLOCK) {
            PackedRows.BlockEncoder encoder = packing.new BlockEncoder();
            for (int i = first; i < Math.min(groupOf.length, first + PackedRows.BLOCK); i++) {
                encoder.row(groupOf[i] & 0xff, codes[i], 0);
            }
            blocks.add(encoder.finish());
        }
        return blocks;
    }

    int rank() {
        return rightSteps.length;
    }

    List<GroupPlan> plans() {
        return Arrays.stream(packing.ranks())
                .mapToObj(r -> r == 0 ? GroupPlan.zero() : GroupPlan.of(0, r, Codec.INT8))
                .toList();
    }

    /** The matrix as it should be unpacked, made of what was packed. */
    public CompressedMatrix matrix(String name) {
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < packing.ranks().length; g++) {
            int group = g;
            byte[][] itsCodes = IntStream.range(0, codes.length)
                    .filter(i -> (groupOf[i] & 0xff) == group)
                    .mapToObj(i -> codes[i])
                    .toArray(byte[][]::new);
            float[] steps = new float[itsCodes.length];
            Arrays.fill(steps, ScaleFormat.log8(packing.steps()[g]));
            left.add(packing.ranks()[g] == 0 ? null : stored(packing.ranks()[g], itsCodes, steps, ScaleFormat.LOG8));
        }
        byte[][] rows = IntStream.range(0, rank())
                .mapToObj(k -> Arrays.copyOfRange(rightCodes, k * columns, (k + 1) * columns))
                .toArray(byte[][]::new);
        List<EncodedMatrix> right =
                rank() == 0 ? List.of() : List.of(stored(columns, rows, rightSteps, ScaleFormat.BF16));
        return new CompressedMatrix(name, columns, groupOf, plans(), left, right).withPacked(parts);
    }

    private static EncodedMatrix stored(int width, byte[][] codes, float[] steps, ScaleFormat scales) {
        EncodedMatrix stored =
                EncodedMatrix.allocate(Arena.ofAuto(), BitProfile.of(Codec.INT8, width), codes.length, width, scales);
        for (int r = 0; r < codes.length; r++) {
            stored.storeScale(r, 0, steps[r]);
            for (int j = 0; j < width; j++) {
                stored.data().set(ValueLayout.JAVA_BYTE, (long) r * width + j, (byte) (codes[r][j] + 128));
            }
        }
        return stored;
    }
}
