package io.groupreduce.vector;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The default without counts against what any quantizer does: codes in blocks that share an F16 scale, in as many bytes. */
class BlocksTest {
    private static final int ROWS = 6_000;
    private static final int COLUMNS = 64;

    /** Shares of the largest number that become the largest code: the best of them is taken for each block. */
    private static final double[] CLIPPED = {1, 0.94, 0.88, 0.8};

    private final Matrix matrix = Generators.matrix(3, ROWS, COLUMNS, 0.4);

    /** The relative error of codes -2^(bits-1) to 2^(bits-1) - 1 times a scale, whose sign is such that the largest number has the least code. */
    private double blocks(int bits, int block) {
        int half = 1 << bits - 1;
        float[] row = new float[COLUMNS];
        double lost = 0;
        double energy = 0;
        for (int i = 0; i < ROWS; i++) {
            matrix.readRow(i, row, 0);
            for (int from = 0; from < COLUMNS; from += block) {
                float largest = 0;
                for (int j = from; j < from + block; j++) {
                    largest = Math.abs(row[j]) > Math.abs(largest) ? row[j] : largest;
                    energy += (double) row[j] * row[j];
                }
                double least = Double.POSITIVE_INFINITY;
                for (double clipped : CLIPPED) {
                    float scale = Float.float16ToFloat(Float.floatToFloat16((float) (-largest * clipped / half)));
                    double error = 0;
                    for (int j = from; j < from + block; j++) {
                        double code = Math.max(-half, Math.min(half - 1, Math.rint(row[j] / scale)));
                        error += (row[j] - code * scale) * (row[j] - code * scale);
                    }
                    least = Math.min(least, error);
                }
                lost += least;
            }
        }
        return Math.sqrt(lost / energy);
    }

    /** Of 8 bits there is no wider code for the strong directions, so blocks are all but met, with a group number a row more. */
    @ParameterizedTest
    @CsvSource({"2, 16, 0.8", "3, 32, 0.8", "4, 32, 0.9", "8, 32, 1.05"})
    void losesLessInAsManyBytes(int bits, int block, double share) {
        long bytes = (long) ROWS * (COLUMNS * bits / 8 + 2 * COLUMNS / block);
        long numbers = bits == 8 ? ROWS : 0;
        try (ComputeBackend backend = new VectorBackend(2);
                Arena arena = Arena.ofShared()) {
            CompressionOptions options = CompressionOptions.defaults()
                    .withTarget(SizeTarget.bytes(bytes + numbers))
                    .withGroups(1);
            CompressionResult result =
                    GroupReduce.compress(backend, matrix, new long[ROWS], null, options, arena, Progress.NONE);
            double lost = Math.sqrt(result.summary().loss() / result.summary().energy());
            double expected = blocks(bits, block);
            assertTrue(lost < share * expected, lost + " against " + expected);
        }
    }
}
