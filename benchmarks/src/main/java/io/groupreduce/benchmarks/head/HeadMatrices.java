package io.groupreduce.benchmarks.head;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** Compressed matrices that no compression made: whole dense matrices in a codec, and factors that only kernels care for. */
final class HeadMatrices {
    private static final int STATES = 256;

    private HeadMatrices() {}

    /** All rows as they are, rounded to a codec with one scale a row: the fastest dense head there is here. */
    static CompressedMatrix dense(Arena arena, Matrix matrix, Codec codec) {
        int columns = matrix.columns();
        EncodedMatrix encoded = EncodedMatrix.allocate(arena, BitProfile.of(codec, columns), matrix.rows(), columns);
        IntStream.range(0, matrix.rows()).parallel().forEach(i -> {
            float[] row = new float[columns];
            matrix.readRow(i, row, 0);
            encoded.encodeRow(i, row, 0);
        });
        GroupPlan plan = GroupPlan.dense(columns, codec);
        String name = "dense " + codec;
        return new CompressedMatrix(name, columns, new byte[matrix.rows()], List.of(plan), List.of(encoded), List.of());
    }

    /** One group of one basis with random factors, whose columns fall as the root of their number. */
    static CompressedMatrix plain(Arena arena, HeadShape shape, int rank, Codec codec) {
        EncodedMatrix left = random(arena, codec, shape.rows(), rank, false);
        EncodedMatrix right = random(arena, Codec.F32, rank, shape.columns(), true);
        GroupPlan plan = GroupPlan.of(0, rank, codec);
        String name = shape.rows() + " x " + rank + " " + codec;
        return new CompressedMatrix(
                name, shape.columns(), new byte[shape.rows()], List.of(plan), List.of(left), List.of(right));
    }

    /** Random hidden states for {@link #plain}. */
    static Queries queries(HeadShape shape) {
        SplittableRandom random = new SplittableRandom(shape.columns());
        float[] hidden = new float[STATES * shape.columns()];
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = (float) (2 * random.nextDouble() - 1);
        }
        int[] targets = random.ints(STATES, 0, shape.rows()).toArray();
        return new Queries(Matrix.of("hidden states", hidden, STATES, shape.columns()), targets);
    }

    private static EncodedMatrix random(Arena arena, Codec codec, int rows, int width, boolean right) {
        EncodedMatrix encoded = EncodedMatrix.allocate(arena, BitProfile.of(codec, width), rows, width);
        IntStream.range(0, rows).parallel().forEach(i -> {
            SplittableRandom random = new SplittableRandom(right ? ~i : i);
            float[] row = new float[width];
            for (int j = 0; j < width; j++) {
                double fall = right ? Math.sqrt(1.0 / width) : Math.sqrt(1.0 / (j + 1));
                row[j] = (float) (fall * (2 * random.nextDouble() - 1));
            }
            encoded.encodeRow(i, row, 0);
        });
        return encoded;
    }
}
