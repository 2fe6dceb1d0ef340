package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.SeededData;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

class MetricTest {
    private static final DenseAlgebra ALGEBRA = new DenseAlgebra(new ReferenceBackend()::forEach);

    private static final int COLUMNS = 12;

    private static double[] moment() {
        float[] states = SeededData.powerLaw(3, 500, COLUMNS, 1);
        return MetricRoot.secondMoment(ALGEBRA, Matrix.of("states", states, 500, COLUMNS));
    }

    @Test
    void theRootSquaredIsTheMomentPlusRidge() {
        double[] moment = moment();
        MetricRoot metric = MetricRoot.of(ALGEBRA, new Metric("test", COLUMNS, moment));
        double trace = 0;
        for (int i = 0; i < COLUMNS; i++) {
            trace += moment[i * COLUMNS + i];
        }
        for (int i = 0; i < COLUMNS; i++) {
            for (int j = 0; j < COLUMNS; j++) {
                double squared = 0;
                double identity = 0;
                for (int k = 0; k < COLUMNS; k++) {
                    squared += metric.root()[i * COLUMNS + k] * metric.root()[k * COLUMNS + j];
                    identity += metric.root()[i * COLUMNS + k] * metric.rootInverse()[k * COLUMNS + j];
                }
                double ridge = i == j ? MetricRoot.RIDGE * trace / COLUMNS : 0;
                assertEquals(moment[i * COLUMNS + j] + ridge, squared, 1e-10 * trace);
                assertEquals(i == j ? 1 : 0, identity, 1e-9);
            }
        }
    }

    @Test
    void theSameDirectionsCostLessLossUnderTheMetricThatChoseThem() {
        float[] values = SeededData.powerLaw(5, 600, COLUMNS, 0.2);
        Matrix matrix = Matrix.of("matrix", values, 600, COLUMNS);
        Metric metric = new Metric("test", COLUMNS, moment());
        CompressionOptions options =
                CompressionOptions.defaults().withMethod(Method.SVD).withTarget(SizeTarget.parameterRatio(4));
        try (Arena arena = Arena.ofShared();
                ReferenceBackend backend = new ReferenceBackend()) {
            CompressedMatrix plain = GroupReduce.compress(backend, matrix, null, null, options, arena, Progress.NONE)
                    .matrix();
            CompressedMatrix aware = GroupReduce.compress(backend, matrix, null, metric, options, arena, Progress.NONE)
                    .matrix();
            assertEquals(plain.parameters(), aware.parameters());
            assertTrue(loss(matrix, aware, MetricRoot.of(ALGEBRA, metric))
                    < 0.8 * loss(matrix, plain, MetricRoot.of(ALGEBRA, metric)));
        }
    }

    private static double loss(Matrix matrix, CompressedMatrix approximation, MetricRoot metric) {
        float[] row = new float[COLUMNS];
        float[] decoded = new float[COLUMNS];
        double sum = 0;
        for (int i = 0; i < matrix.rows(); i++) {
            matrix.readRow(i, row, 0);
            approximation.decodeRows(i, 1, decoded, 0);
            for (int j = 0; j < COLUMNS; j++) {
                double y = 0;
                for (int k = 0; k < COLUMNS; k++) {
                    y += (row[k] - decoded[k]) * metric.root()[k * COLUMNS + j];
                }
                sum += y * y;
            }
        }
        return sum;
    }

    @Test
    void whatIsNoSecondMomentIsRefused() {
        double[] asymmetric = moment();
        asymmetric[1] += asymmetric[0];
        assertRefused(asymmetric, "not symmetric");
        double[] infinite = moment();
        infinite[COLUMNS + 2] = Double.NaN;
        assertRefused(infinite, "row 1, column 2");
        double[] negative = moment();
        for (int i = 0; i < negative.length; i++) {
            negative[i] = -negative[i];
        }
        assertRefused(negative, "not positive semidefinite");
        double[] overflowing = moment();
        for (int i = 0; i < COLUMNS; i++) {
            overflowing[i * COLUMNS + i] = Double.MAX_VALUE;
        }
        assertRefused(overflowing, "overflows");
        assertRefused(new double[COLUMNS * COLUMNS], "zero everywhere");
        assertRefused(new double[COLUMNS], "12 x 12");
    }

    @Test
    void aMatrixTooWideForASquareIsRefused() {
        int wide = CompressedMatrix.MAX_COLUMNS + 1;
        assertTrue((long) CompressedMatrix.MAX_COLUMNS * CompressedMatrix.MAX_COLUMNS <= Integer.MAX_VALUE);
        assertThrows(InvalidDataException.class, () -> MetricRoot.of(ALGEBRA, new Metric("m", wide, new double[1])));
        Matrix hidden = Matrix.of("hidden", new float[wide], 1, wide);
        assertThrows(InvalidDataException.class, () -> MetricRoot.secondMoment(ALGEBRA, hidden));
    }

    /** Wider than a tile of columns, ragged in both directions, and more states than a batch. */
    @Test
    void tilesAndBatchesDoNotShow() {
        int columns = 531;
        int states = 300;
        float[] hidden = SeededData.powerLaw(9, states, columns, 1);
        double[] moment = MetricRoot.secondMoment(ALGEBRA, Matrix.of("states", hidden, states, columns));
        double trace = 0;
        for (int i = 0; i < columns; i++) {
            trace += moment[i * columns + i];
            for (int j = 0; j < columns; j++) {
                double sum = 0;
                for (int t = 0; t < states; t++) {
                    sum += (double) hidden[t * columns + i] * hidden[t * columns + j];
                }
                assertEquals(sum / states, moment[i * columns + j]);
            }
        }
        MetricRoot metric = MetricRoot.of(ALGEBRA, new Metric("wide", columns, moment));
        for (int i : new int[] {0, 15, 16, 511, 512, 530}) {
            for (int j = 0; j < columns; j++) {
                double squared = 0;
                double identity = 0;
                for (int k = 0; k < columns; k++) {
                    squared += metric.root()[i * columns + k] * metric.root()[k * columns + j];
                    identity += metric.root()[i * columns + k] * metric.rootInverse()[k * columns + j];
                }
                double ridge = i == j ? MetricRoot.RIDGE * trace / columns : 0;
                assertEquals(moment[i * columns + j] + ridge, squared, 1e-10 * trace);
                assertEquals(i == j ? 1 : 0, identity, 1e-8);
            }
        }
    }

    private static void assertRefused(double[] moment, String reason) {
        InvalidDataException e = assertThrows(
                InvalidDataException.class, () -> MetricRoot.of(ALGEBRA, new Metric("m.safetensors", COLUMNS, moment)));
        assertTrue(e.getMessage().contains(reason), e.getMessage());
        assertTrue(e.getMessage().startsWith("m.safetensors"), e.getMessage());
    }
}
