package io.groupreduce.spi;

/**
 * What a {@link SoftmaxComparison} found for each of T hidden states. With z the dense logits, y the compressed ones and p
 * the dense softmax:
 *
 * @param denseLogSumExp log sum exp z, length T
 * @param compressedLogSumExp log sum exp y, length T
 * @param expectedGap sum_i p_i (z_i - y_i), length T: KL(p || softmax y) = expectedGap - denseLogSumExp +
 *     compressedLogSumExp
 * @param denseTargetLogit z of the target, length T; {@code null} without targets
 * @param compressedTargetLogit y of the target, length T; {@code null} without targets
 * @param denseTop the topK tokens of largest z, T x topK, best first, ties to the lower token
 * @param compressedTop likewise for y
 */
public record TokenScores(
        double[] denseLogSumExp,
        double[] compressedLogSumExp,
        double[] expectedGap,
        float[] denseTargetLogit,
        float[] compressedTargetLogit,
        int[] denseTop,
        int[] compressedTop) {}
