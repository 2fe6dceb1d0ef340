package io.groupreduce.benchmarks;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Estimate;
import io.groupreduce.api.Evaluation;
import java.util.Locale;

/**
 * A compression of a softmax and what it cost.
 *
 * @param ratio bytes of the source / bytes of all that replaces it
 * @param bytes of all that replaces the source
 * @param relativeError weighted by (c + 1)^0.5
 * @param evaluation on hidden states that no method saw
 * @param seconds of the compression alone
 * @param options as the method settled them; {@code null} where rows were merely rounded
 */
record Trial(
        double ratio,
        long bytes,
        double relativeError,
        Evaluation evaluation,
        double seconds,
        CompressionOptions options) {
    /** How much the perplexity rose, in percent. */
    double perplexityIncrease() {
        return 100 * evaluation.perplexityIncrease().mean();
    }

    /** How much the mean cross-entropy rose, in percent. */
    double lossIncrease() {
        return 100 * evaluation.lossIncrease();
    }

    /** The rise of the perplexity in percent, and half of its 95 % interval. */
    String perplexity() {
        Estimate rise = evaluation.perplexityIncrease();
        return percent(perplexityIncrease()) + " ± "
                + percent(50 * (rise.high() - rise.low())).substring(1);
    }

    /** A rise in percent with its sign, as many digits as are worth reading. */
    static String percent(double value) {
        double size = Math.abs(value);
        return String.format(Locale.ROOT, size < 10 ? "%+.2f" : size < 1000 ? "%+.1f" : "%+.0f", value);
    }

    /** A divergence in nats. */
    String kl() {
        return String.format(Locale.ROOT, "%.4f", evaluation.kl().mean());
    }
}
