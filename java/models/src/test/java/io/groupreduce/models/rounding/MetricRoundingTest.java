package io.groupreduce.models.rounding;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Metric;
import io.groupreduce.internal.linear.Parallel;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MetricRoundingTest {
    private static final int ROWS = 70;

    private static final Parallel ALONE =
            (tasks, task) -> IntStream.range(0, tasks).forEach(task);

    @ParameterizedTest
    @CsvSource({"4, 32, 96, 0.75", "4, 32, 77, 0.75", "8, 16, 40, 0.85", "3, 128, 130, 0.8"})
    void correlatedDirectionsLoseLessThanUnderPlainRounding(int bits, int block, int columns, double share) {
        Random random = new Random(columns);
        float[] a = normal(random, ROWS * columns);
        Metric metric = correlated(random, columns);
        float[] rounded = round(MetricRounding.of(metric, block, ALONE), a, columns, bits, ALONE);
        float[] plain = round(MetricRounding.plain(columns, block), a, columns, bits, ALONE);

        double all = 0;
        double allPlain = 0;
        for (int i = 0; i < ROWS; i++) {
            double loss = loss(a, rounded, i, metric);
            assertTrue(loss <= 1.02 * loss(a, plain, i, metric), "row " + i);
            all += loss;
            allPlain += loss(a, plain, i, metric);
        }
        assertTrue(all < share * allPlain, all + " of " + allPlain);
    }

    @Test
    void anIdentityIsPlainRounding() {
        int columns = 50;
        double[] identity = new double[columns * columns];
        IntStream.range(0, columns).forEach(j -> identity[j * columns + j] = 7);
        float[] a = normal(new Random(3), ROWS * columns);
        assertArrayEquals(
                round(MetricRounding.plain(columns, 16), a, columns, 4, ALONE),
                round(MetricRounding.of(new Metric("identity", columns, identity), 16, ALONE), a, columns, 4, ALONE));
    }

    @Test
    void plainRoundingTakesTheNearestCodeUnderAScaleOfLittleError() {
        float[] a = normal(new Random(5), 32);
        float[] rounded = round(MetricRounding.plain(32, 32), a, 32, 4, ALONE);
        double error = 0;
        double least = Double.MAX_VALUE;
        for (int j = 0; j < 32; j++) {
            error += Math.pow(a[j] - rounded[j], 2);
        }
        for (double scale = -0.6; scale < 0.6; scale += 0.0011) {
            double sum = 0;
            for (float number : a) {
                sum += Math.pow(number - scale * Math.clamp(Math.rint(number / scale), -8, 7), 2);
            }
            least = Math.min(least, sum);
        }
        assertTrue(error <= 1.05 * least, error + " against " + least);
    }

    @Test
    void whatIsRepresentableStaysAsItIs() {
        float[] a = {0.5f, -4, 3.5f, 0, 0, 0, 0, 0};
        assertArrayEquals(a, round(MetricRounding.plain(4, 4), a, 4, 4, ALONE));
        assertArrayEquals(a, round(MetricRounding.of(correlated(new Random(1), 4), 4, ALONE), a, 4, 4, ALONE), 1e-6f);
    }

    @Test
    void threadsChangeNothing() {
        int columns = 100;
        Random random = new Random(9);
        float[] a = normal(random, ROWS * columns);
        Metric metric = correlated(random, columns);
        Parallel many = (tasks, task) -> IntStream.range(0, tasks).parallel().forEach(task);
        assertArrayEquals(
                round(MetricRounding.of(metric, 32, ALONE), a, columns, 4, ALONE),
                round(MetricRounding.of(metric, 32, many), a, columns, 4, many));
    }

    @Test
    void aFormatOfOtherBlocksIsRefused() {
        String message = assertThrows(IllegalArgumentException.class, () -> MetricRounding.plain(8, 4)
                        .round((first, count, to, at) -> {}, 1, new EvenBlocks(4, 8, 8, s -> s, null), ALONE))
                .getMessage();
        assertEquals("blocks of 8 under rounding for blocks of 4", message);
    }

    private static float[] round(MetricRounding rounding, float[] a, int columns, int bits, Parallel threads) {
        float[] decoded = new float[a.length];
        int block = rounding.block();
        EvenBlocks.Store store = (row, b, scale, codes, from) -> {
            for (int j = 0; j < Math.min(block, columns - b * block); j++) {
                decoded[row * columns + b * block + j] = scale * codes[from + j];
            }
        };
        rounding.round(
                (first, count, to, at) -> System.arraycopy(a, first * columns, to, at, count * columns),
                a.length / columns,
                new EvenBlocks(bits, block, columns, scale -> scale, store),
                threads);
        return decoded;
    }

    /** A second moment of states whose energy falls over mixed directions. */
    private static Metric correlated(Random random, int columns) {
        double[] moment = new double[columns * columns];
        for (int t = 0; t < 2 * columns; t++) {
            float[] direction = normal(random, columns);
            double energy = Math.exp(-8.0 * t / columns);
            for (int i = 0; i < columns; i++) {
                for (int j = 0; j < columns; j++) {
                    moment[i * columns + j] += energy * direction[i] * direction[j];
                }
            }
        }
        return new Metric("planted", columns, moment);
    }

    private static double loss(float[] a, float[] rounded, int row, Metric metric) {
        int n = metric.columns();
        double loss = 0;
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                loss += (a[row * n + i] - rounded[row * n + i])
                        * metric.moment()[i * n + j]
                        * (a[row * n + j] - rounded[row * n + j]);
            }
        }
        return loss;
    }

    private static float[] normal(Random random, int count) {
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = (float) random.nextGaussian();
        }
        return numbers;
    }
}
