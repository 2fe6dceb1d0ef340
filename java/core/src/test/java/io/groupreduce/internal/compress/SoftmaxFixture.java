package io.groupreduce.internal.compress;

import io.groupreduce.SeededData;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.matrix.Matrix;
import java.util.SplittableRandom;

/** Seeded matrices, counts, and hidden states whose targets are drawn from the dense softmax. */
final class SoftmaxFixture {
    private static final int STATES = 200;

    /** Sharpens the softmax, so that its perplexity is far below the number of tokens. */
    private static final float STATE_SCALE = 2;

    private SoftmaxFixture() {}

    static Matrix powerLaw(long seed, int rows, int columns) {
        float[] values = SeededData.powerLaw(seed, rows, columns, 0.6);
        return Matrix.of("seed " + seed, values, rows, columns);
    }

    static long[] counts(long seed, int rows) {
        return SeededData.zipfCounts(seed, rows, 100.0 * rows);
    }

    static SoftmaxData softmax(long seed, Matrix matrix) {
        int columns = matrix.columns();
        float[] states = SeededData.powerLaw(seed, STATES, columns, 0.4);
        float[] row = new float[columns];
        int[] targets = new int[STATES];
        SplittableRandom random = new SplittableRandom(seed);
        for (int t = 0; t < STATES; t++) {
            for (int j = 0; j < columns; j++) {
                states[t * columns + j] *= STATE_SCALE;
            }
            double best = Double.NEGATIVE_INFINITY;
            for (int i = 0; i < matrix.rows(); i++) {
                matrix.readRow(i, row, 0);
                // The largest logit with Gumbel noise is a draw from the softmax.
                double logit = -Math.log(-Math.log(random.nextDouble()));
                for (int j = 0; j < columns; j++) {
                    logit += (double) row[j] * states[t * columns + j];
                }
                if (logit > best) {
                    best = logit;
                    targets[t] = i;
                }
            }
        }
        return new SoftmaxData(Matrix.of("states " + seed, states, STATES, columns), targets, null);
    }
}
