package io.groupreduce.cli;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** What a compressed matrix is measured beside: itself in other codecs, and a dense one of its shape. */
final class BenchMatrices {
    /** Rows that are decoded for the dense matrix, which repeats them, and whose logits give the scale of hidden states. */
    private static final int SAMPLE = 1024;

    private static final int SCALE_STATES = 8;
    private static final double LARGEST_SCALE = 1e30;
    private static final int CHUNK = 4096;
    private static final long SEED = 42;

    private BenchMatrices() {}

    /** Bytes that a query reads, the bias not counted: left and right factors, dense rows and their scales. */
    static long factorBytes(CompressedMatrix matrix) {
        return matrix.parts().mapToLong(EncodedMatrix::bytes).sum();
    }

    /** What {@link #factorBytes} of {@link #recoded} with all rows would be. */
    static long recodedBytes(CompressedMatrix matrix, Codec codec) {
        LongStream left = IntStream.range(0, matrix.groups().size())
                .filter(g -> matrix.left(g) != null)
                .mapToLong(g -> EncodedMatrix.storedBytes(
                        recoded(matrix.groups().get(g), codec).profile(),
                        matrix.left(g).rows(),
                        recoded(matrix.groups().get(g), codec).block(),
                        ScaleFormat.BF16));
        return left.sum() + matrix.rightBytes();
    }

    /** The same numbers, all in one codec. */
    private static GroupPlan recoded(GroupPlan plan, Codec codec) {
        return plan.isZero() ? plan : GroupPlan.of(plan.basis(), plan.rank(), codec);
    }

    /**
     * The first rows with the same groups, ranks and bases, and left factors and dense rows encoded anew.
     *
     * @param rows how many, at most N
     * @param arena a shared one, that frees the copy
     */
    static CompressedMatrix recoded(CompressedMatrix matrix, Codec codec, int rows, Arena arena) {
        byte[] groupOf = Arrays.copyOf(matrix.groupOf(), rows);
        int[] sizes = new int[matrix.groups().size()];
        for (byte g : groupOf) {
            sizes[g & 0xff]++;
        }
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < sizes.length; g++) {
            GroupPlan plan = recoded(matrix.groups().get(g), codec);
            plans.add(plan);
            left.add(plan.isZero() ? null : recoded(matrix.left(g), plan, sizes[g], arena));
        }
        List<EncodedMatrix> right =
                IntStream.range(0, matrix.bases()).mapToObj(matrix::right).toList();
        return new CompressedMatrix(matrix.name(), matrix.columns(), groupOf, plans, left, right);
    }

    private static EncodedMatrix recoded(EncodedMatrix stored, GroupPlan plan, int rows, Arena arena) {
        EncodedMatrix made = EncodedMatrix.allocate(arena, plan.profile(), rows, plan.block());
        IntStream.range(0, Math.ceilDiv(rows, CHUNK)).parallel().forEach(chunk -> {
            float[] row = new float[stored.width()];
            for (int r = chunk * CHUNK; r < Math.min(rows, (chunk + 1) * CHUNK); r++) {
                stored.decodeRow(r, row, 0);
                made.encodeRow(r, row, 0);
            }
        });
        return made;
    }

    /**
     * A matrix of one dense F32 group. Decoding every row would take longer than measuring does, and the time of a query does not
     * depend on the numbers: rows spread over the vocabulary are repeated.
     *
     * @param rows how many, at most N
     * @param arena frees it
     */
    static CompressedMatrix dense(CompressedMatrix matrix, int rows, Arena arena) {
        int columns = matrix.columns();
        EncodedMatrix all = EncodedMatrix.allocate(arena, BitProfile.of(Codec.F32, columns), rows, columns);
        float[] sample = sample(matrix);
        int sampled = sample.length / columns;
        for (int i = 0; i < Math.min(rows, sampled); i++) {
            all.encodeRow(i, sample, i * columns);
        }
        long bytes = all.data().byteSize();
        for (long filled = (long) sampled * columns * Float.BYTES; filled < bytes; filled *= 2) {
            MemorySegment.copy(all.data(), 0, all.data(), filled, Math.min(filled, bytes - filled));
        }
        return new CompressedMatrix(
                matrix.name(),
                columns,
                new byte[rows],
                List.of(GroupPlan.dense(columns, Codec.F32)),
                List.of(all),
                List.of());
    }

    /** At most {@link #SAMPLE} rows, evenly spread, as binary32. */
    private static float[] sample(CompressedMatrix matrix) {
        int columns = matrix.columns();
        int count = Math.min(SAMPLE, matrix.rows());
        float[] sample = new float[count * columns];
        IntStream.range(0, count).parallel().forEach(i -> {
            int row = (int) ((long) i * matrix.rows() / count);
            matrix.decodeRows(row, 1, sample, i * columns);
        });
        return sample;
    }

    /**
     * Hidden states of independent normal numbers, all with the variance that gives the logits of one state, over a sample of the rows
     * and without the bias, this standard deviation in the mean over some states.
     */
    static float[] hidden(CompressedMatrix matrix, int states, double deviation) {
        int columns = matrix.columns();
        SplittableRandom random = new SplittableRandom(SEED);
        float[] hidden = new float[states * columns];
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = (float) random.nextGaussian();
        }
        float[] sample = sample(matrix);
        double variance = 0;
        for (int s = 0; s < Math.min(SCALE_STATES, states); s++) {
            variance += variance(sample, hidden, s * columns, columns) / Math.min(SCALE_STATES, states);
        }
        // Rows that are all alike or all zero give no scale; any does for them. Rows of tiny numbers give one that may
        // be too large.
        float scale = variance > 0 ? (float) Math.min(LARGEST_SCALE, deviation / Math.sqrt(variance)) : 1;
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] *= scale;
        }
        return hidden;
    }

    /** The variance of the logits of a state over some rows. */
    private static double variance(float[] rows, float[] hidden, int state, int columns) {
        int count = rows.length / columns;
        double sum = 0;
        double squares = 0;
        for (int i = 0; i < count; i++) {
            double logit = 0;
            for (int j = 0; j < columns; j++) {
                logit += (double) rows[i * columns + j] * hidden[state + j];
            }
            sum += logit;
            squares += logit * logit;
        }
        return Math.max(0, squares / count - sum / count * sum / count);
    }
}
