package io.groupreduce.models.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Metric;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.models.rounding.MetricRounding;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class BlockRoundingTest {
    private static final int ROWS = 24;
    private static final int COLUMNS = 256;
    private static final Parallel ALONE =
            (tasks, task) -> IntStream.range(0, tasks).forEach(task);

    private static float[] rows(long seed) {
        Random random = new Random(seed);
        float[] rows = new float[ROWS * COLUMNS];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = (float) (0.02 * random.nextGaussian() * (i % 7 == 0 ? 2 : 1));
        }
        return rows;
    }

    private static float[] rounded(GgufType type, float[] rows, MetricRounding rounding) {
        byte[] data = new byte[(int) type.bytes(rows.length)];
        BlockLayout layout = BlockLayout.of(type).orElseThrow();
        MetricRounding.Rows reader =
                (first, count, target, at) -> System.arraycopy(rows, first * COLUMNS, target, at, count * COLUMNS);
        rounding.round(
                reader, rows.length / COLUMNS, new BlockRounding(layout, COLUMNS, MemorySegment.ofArray(data)), ALONE);
        float[] read = new float[rows.length];
        layout.decode(MemorySegment.ofArray(data), 0, read, 0, read.length);
        return read;
    }

    private static float[] rounded(GgufType type, float[] rows) {
        return rounded(type, rows, MetricRounding.plain(COLUMNS, type.blockElements()));
    }

    /** Of the rows' length; under a metric if there is one. */
    private static double error(float[] rows, float[] read, Metric metric) {
        double error = 0;
        double length = 0;
        for (int at = 0; at < rows.length; at += COLUMNS) {
            for (int i = 0; i < COLUMNS; i++) {
                double e = rows[at + i] - read[at + i];
                double a = rows[at + i];
                if (metric == null) {
                    error += e * e;
                    length += a * a;
                    continue;
                }
                for (int j = 0; j < COLUMNS; j++) {
                    double m = metric.moment()[i * COLUMNS + j];
                    error += e * m * (rows[at + j] - read[at + j]);
                    length += a * m * rows[at + j];
                }
            }
        }
        return Math.sqrt(error / length);
    }

    /**
     * Beside each type what rounding loses that takes scales from the largest number of a block, as the reference quantiser of the ggml project
     * does for types of 32, on numbers of this kind (measured on 102,400 of another seed); for the others what its search loses.
     */
    @ParameterizedTest
    @CsvSource({
        "Q4_0, 0.1008",
        "Q4_1, 0.0863",
        "Q5_0, 0.0502",
        "Q5_1, 0.0419",
        "Q8_0, 0.00632",
        "IQ4_NL, 0.0862",
        "Q4_K, 0.0795",
        "Q5_K, 0.0404",
        "Q6_K, 0.0203",
        "Q3_K, 0.17",
        "Q2_K, 0.29"
    })
    void losesNoMoreThanTheReferenceDoes(GgufType type, double reference) {
        float[] rows = rows(1);
        double error = error(rows, rounded(type, rows), null);
        assertTrue(error < reference && error > reference / 2, type + " loses " + error);
    }

    @ParameterizedTest
    @EnumSource(names = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"})
    void underAMetricDirectionsThatMatterLoseLess(GgufType type) {
        Random random = new Random(3);
        double[] moment = new double[COLUMNS * COLUMNS];
        for (int k = 0; k < 32; k++) {
            double[] direction = random.doubles(COLUMNS, -1, 1).toArray();
            for (int i = 0; i < COLUMNS; i++) {
                for (int j = 0; j < COLUMNS; j++) {
                    moment[i * COLUMNS + j] += direction[i] * direction[j] / (1 + k);
                }
            }
        }
        Metric metric = new Metric("test", COLUMNS, moment);
        float[] rows = rows(2);
        double plain = error(rows, rounded(type, rows), metric);
        double fitted =
                error(rows, rounded(type, rows, MetricRounding.of(metric, type.blockElements(), ALONE)), metric);
        assertTrue(fitted < 0.5 * plain, type + ": " + fitted + " and plainly " + plain);
    }

    @ParameterizedTest
    @EnumSource(names = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"})
    void rowsAtTheEdges(GgufType type) {
        float[] rows = new float[4 * COLUMNS];
        for (int j = 0; j < COLUMNS; j++) {
            rows[COLUMNS + j] = -3;
            rows[2 * COLUMNS + j] = 3;
            rows[3 * COLUMNS + j] = j == 100 ? 1e9f : 0;
        }
        float[] read = rounded(type, rows);
        float[] zeros = new float[COLUMNS];
        assertArrayEquals(zeros, Arrays.copyOf(read, COLUMNS));
        for (int j = 0; j < COLUMNS; j++) {
            assertEquals(-3, read[COLUMNS + j], 0.03f);
            assertEquals(3, read[2 * COLUMNS + j], 0.03f);
            assertTrue(Float.isFinite(read[3 * COLUMNS + j]));
        }
    }

    /** What can be stored exactly is. */
    @ParameterizedTest
    @CsvSource({"Q4_0, -8, 7", "Q5_0, -16, 15", "Q8_0, -127, 127", "Q4_1, 0, 15", "Q5_1, 0, 31"})
    void numbersOfTheFormatStay(GgufType type, int lowest, int highest) {
        Random random = new Random(5);
        float[] rows = new float[ROWS * COLUMNS];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = 0.25f * (i % 32 == 0 ? lowest : i % 32 == 1 ? highest : random.nextInt(lowest, highest + 1));
        }
        float[] read = rounded(type, rows);
        for (int i = 0; i < rows.length; i++) {
            assertEquals(rows[i], read[i] + 0f, "number " + i);
        }
    }
}
