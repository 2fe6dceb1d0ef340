package io.groupreduce.internal.compress;

import io.groupreduce.api.Progress;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionWorkspace;

/**
 * How many bases pay for themselves. On a sample of the rows, at the same bytes a row and with each basis charged the
 * sample's share of its bytes, the number is doubled for as long as the loss falls by more than {@link #WORTHWHILE}.
 */
final class BasisCount {
    /** More bases make every later step dearer, for the user of the file too. */
    private static final double WORTHWHILE = 0.02;

    private static final int MOST = 16;
    private static final int SAMPLE_ROWS = 12_000;
    private static final int SAMPLE_FLOATS = 1 << 24;

    private final CompressionTask sample;
    private final double[] raw;
    private final Alternation.Settings settings;

    BasisCount(CompressionTask task, double alpha, Alternation.Settings settings) {
        Matrix matrix = task.matrix();
        sample = task.sample(Math.min(SAMPLE_ROWS, Math.max(1, SAMPLE_FLOATS / matrix.columns())));
        raw = Weights.raw(sample.counts(), alpha);
        this.settings =
                settings.sample((double) sample.matrix().rows() / matrix.rows()).withRounds(1);
    }

    /** 1, 2, 4, 8 or 16. */
    int best() {
        try (CompressionWorkspace workspace = sample.open(raw);
                Alternation method = new Alternation(workspace, sample, settings, raw)) {
            int best = 1;
            double least = loss(method, 1);
            while (best < MOST && least > 0) {
                double loss = loss(method, 2 * best);
                if (!(loss < least * (1 - WORTHWHILE))) {
                    break;
                }
                least = loss;
                best *= 2;
            }
            return best;
        }
    }

    /** Infinite where the size has no room for so many. */
    private double loss(Alternation method, int bases) {
        StartingBases start = StartingBases.of(sample, bases);
        try {
            return method.run(start, Progress.NONE).best().loss();
        } catch (UnreachableTargetException e) {
            return Double.POSITIVE_INFINITY;
        }
    }
}
