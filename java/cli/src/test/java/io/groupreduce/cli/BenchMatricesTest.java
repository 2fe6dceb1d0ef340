package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cli.SoftmaxCase.Contestant;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What a benchmark compares with: the same matrix in other codecs, a dense one, states of a known scale, and its figures. */
class BenchMatricesTest {
    private static final int ROWS = 3000;
    private static final int COLUMNS = 40;

    private final Arena arena = Arena.ofShared();

    @AfterEach
    void close() {
        arena.close();
    }

    /** A low-rank group, a dense one and one of zeros, mixed. */
    private CompressedMatrix matrix() {
        byte[] groupOf = new byte[ROWS];
        int[] sizes = new int[3];
        for (int i = 0; i < ROWS; i++) {
            groupOf[i] = (byte) (i % 11 == 0 ? 2 : i % 5 == 0 ? 1 : 0);
            sizes[groupOf[i]]++;
        }
        List<GroupPlan> plans =
                List.of(GroupPlan.of(0, 7, Codec.BF16), GroupPlan.dense(COLUMNS, Codec.INT8), GroupPlan.zero());
        List<EncodedMatrix> left =
                Arrays.asList(encoded(1, Codec.BF16, sizes[0], 7), encoded(2, Codec.INT8, sizes[1], COLUMNS), null);
        return new CompressedMatrix("m", COLUMNS, groupOf, plans, left, List.of(encoded(3, Codec.F32, 7, COLUMNS)));
    }

    private EncodedMatrix encoded(long seed, Codec codec, int rows, int width) {
        float[] values = Generators.powerLaw(seed, rows, width, 0.3);
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, BitProfile.of(codec, width), rows, width);
        for (int r = 0; r < rows; r++) {
            matrix.encodeRow(r, values, r * width);
        }
        return matrix;
    }

    private static float[] decoded(CompressedMatrix matrix, int rows) {
        float[] values = new float[rows * matrix.columns()];
        matrix.decodeRows(0, rows, values, 0);
        return values;
    }

    @Test
    void anotherCodecChangesNoMoreThanItsRounding() {
        CompressedMatrix matrix = matrix();
        for (int rows : new int[] {1, 1234, ROWS}) {
            float[] before = decoded(matrix, rows);
            CompressedMatrix exact = BenchMatrices.recoded(matrix, Codec.F32, rows, arena);
            assertEquals(rows, exact.rows());
            assertArrayEquals(before, decoded(exact, rows));
            CompressedMatrix rough = BenchMatrices.recoded(matrix, Codec.INT4, rows, arena);
            assertNull(rough.left(2));
            assertEquals(Codec.INT4.bits(), rough.left(0).profile().uniform());
            double error = 0;
            double size = 0;
            float[] after = decoded(rough, rows);
            for (int i = 0; i < after.length; i++) {
                error += Math.pow(after[i] - before[i], 2);
                size += Math.pow(before[i], 2);
            }
            assertTrue(error <= 0.03 * size, error + " of " + size);
        }
    }

    @Test
    void bytesAreThoseOfTheFactors() {
        CompressedMatrix matrix = matrix();
        assertEquals(matrix.bytes() - ROWS - matrix.headerBytes(), BenchMatrices.factorBytes(matrix));
        for (Codec codec : Codec.values()) {
            CompressedMatrix recoded = BenchMatrices.recoded(matrix, codec, ROWS, arena);
            assertEquals(BenchMatrices.factorBytes(recoded), BenchMatrices.recodedBytes(matrix, codec));
        }
    }

    @Test
    void theDenseMatrixHasTheShapeAndNumbersOfTheOtherOne() {
        CompressedMatrix matrix = matrix();
        for (int rows : new int[] {1, 1024, 1025, ROWS}) {
            CompressedMatrix dense = BenchMatrices.dense(matrix, rows, arena);
            assertEquals(rows, dense.rows());
            assertEquals(COLUMNS, dense.columns());
            assertEquals((long) rows * COLUMNS * Float.BYTES, BenchMatrices.factorBytes(dense));
            float[] values = decoded(dense, rows);
            float[] some = decoded(matrix, ROWS);
            int spread = (int) (1023L * ROWS / 1024);
            int[][] pairs = {{0, 0}, {1023, spread}, {1024, 0}, {2047, spread}, {2048, 0}};
            for (int[] pair : pairs) {
                if (pair[0] < rows) {
                    assertArrayEquals(row(some, pair[1]), row(values, pair[0]));
                }
            }
        }
    }

    private static float[] row(float[] values, int row) {
        return Arrays.copyOfRange(values, row * COLUMNS, (row + 1) * COLUMNS);
    }

    @Test
    void hiddenStatesGiveLogitsTheDeviationAskedFor() {
        CompressedMatrix matrix = matrix();
        int states = 16;
        float[] hidden = BenchMatrices.hidden(matrix, states, 3);
        float[] rows = decoded(matrix, ROWS);
        double variance = 0;
        for (int s = 0; s < states; s++) {
            double sum = 0;
            double squares = 0;
            for (int i = 0; i < ROWS; i++) {
                double logit = 0;
                for (int j = 0; j < COLUMNS; j++) {
                    logit += rows[i * COLUMNS + j] * hidden[s * COLUMNS + j];
                }
                sum += logit;
                squares += logit * logit;
            }
            variance += (squares - sum * sum / ROWS) / ROWS / states;
        }
        assertEquals(3, Math.sqrt(variance), 1);
        float[] others = BenchMatrices.hidden(zeros(), 2, 3);
        for (float value : others) {
            assertTrue(Float.isFinite(value) && value != 0);
        }
    }

    private static CompressedMatrix zeros() {
        return new CompressedMatrix(
                "zeros",
                COLUMNS,
                new byte[50],
                List.of(GroupPlan.zero()),
                Arrays.asList((EncodedMatrix) null),
                List.of());
    }

    /** No head is asked: the rounds are given. */
    private static SoftmaxCase rounds(Contestant contestant, double... seconds) {
        SoftmaxCase made = SoftmaxCase.top(contestant, 4, new float[0]);
        for (double each : seconds) {
            made.count(each);
        }
        return made;
    }

    @Test
    void aContestantOfSomeRowsIsScaledUp() {
        SoftmaxCase dense = rounds(new Contestant(SoftmaxBench.DENSE, null, 250, 8_000_000, 0.25), 0.03, 0.01, 0.02);
        SoftmaxCase stored = rounds(new Contestant(SoftmaxBench.STORED, null, 1000, 1_000_000, 1), 0.002, 0.001, 0.004);
        SoftmaxFigures figures = new SoftmaxFigures(10, List.of(dense, stored));
        assertEquals(250, figures.denseRowsMeasured());
        Map<String, Object> first = figures.documents(SoftmaxCase.TOP).get(0);
        assertEquals(80_000, (double) first.get("latencyMicros"), 1e-6);
        assertEquals(80_000, (double) first.get("spreadMicros"), 1e-6);
        assertEquals(0.01, (double) first.get("bandwidthShare"), 1e-12);
        Map<String, Object> second = figures.documents(SoftmaxCase.TOP).get(1);
        assertEquals(2000, (double) second.get("latencyMicros"), 1e-9);
        assertEquals(40, (double) second.get("speedupOverDenseF32"), 1e-9);
        assertEquals(2000, (double) second.get("tokensPerSecond"), 1e-6);
        assertEquals(1000, second.get("rowsMeasured"));
        List<String> lines = figures.lines(1000);
        assertTrue(lines.contains("dense-f32 was measured on the first 250 rows and scaled up to 1000."), "" + lines);
        assertTrue(lines.contains("There was no time for batches above 4."), "" + lines);
    }
}
