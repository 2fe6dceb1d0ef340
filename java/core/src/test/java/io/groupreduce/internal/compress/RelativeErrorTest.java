package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

/** The one figure that compares between methods is the same sum for each, whatever weights and metric the method minimised. */
class RelativeErrorTest {
    private static final int ROWS = 300;
    private static final int COLUMNS = 16;

    private final Matrix matrix = SoftmaxFixture.powerLaw(31, ROWS, COLUMNS);
    private final long[] counts = SoftmaxFixture.counts(31, ROWS);
    private final SoftmaxData softmax = SoftmaxFixture.softmax(32, matrix);

    @Test
    void everyMethodCarriesTheCountWeightedErrorOfWhatItStored() {
        try (ReferenceBackend backend = new ReferenceBackend();
                Arena arena = Arena.ofShared()) {
            for (Method method : Method.values()) {
                for (double alpha : new double[] {1, 0.5}) {
                    CompressionOptions options = CompressionOptions.defaults()
                            .withMethod(method)
                            .withAlpha(alpha)
                            .withRefineRounds(1)
                            .withTarget(SizeTarget.ratio(8));
                    String what = method + " with alpha " + alpha;
                    require(backend, arena, counts, null, null, options, what);
                    require(backend, arena, new long[ROWS], null, null, options, what + ", counts alike");
                    require(backend, arena, counts, metric(), null, options, what + " under a metric");
                    require(backend, arena, counts, null, softmax, options, what + " with hidden states");
                    CompressionOptions calibrated = options.withCalibrationEpochs(1);
                    require(backend, arena, counts, null, softmax, calibrated, what + ", calibrated");
                }
            }
        }
    }

    private static Metric metric() {
        double[] moment = new double[COLUMNS * COLUMNS];
        for (int j = 0; j < COLUMNS; j++) {
            moment[j * COLUMNS + j] = 1.0 / (1 + j * j);
        }
        return new Metric("moment", COLUMNS, moment);
    }

    private void require(
            ReferenceBackend backend,
            Arena arena,
            long[] known,
            Metric metric,
            SoftmaxData data,
            CompressionOptions options,
            String what) {
        CompressionResult result =
                GroupReduce.compress(backend, matrix, known, metric, data, options, arena, Progress.NONE);
        double expected = error(known, result.matrix());
        assertTrue(expected > 0.01, what + ": " + expected);
        assertEquals(expected, result.summary().relativeError(), 1e-5 * expected, what);
    }

    private double error(long[] known, CompressedMatrix stored) {
        float[] row = new float[COLUMNS];
        float[] decoded = new float[COLUMNS];
        double loss = 0;
        double energy = 0;
        for (int i = 0; i < ROWS; i++) {
            matrix.readRow(i, row, 0);
            stored.decodeRows(i, 1, decoded, 0);
            for (int j = 0; j < COLUMNS; j++) {
                double difference = (double) row[j] - decoded[j];
                loss += (known[i] + 1.0) * difference * difference;
                energy += (known[i] + 1.0) * row[j] * row[j];
            }
        }
        return Math.sqrt(loss / energy);
    }
}
