package io.groupreduce.cli.report;

import io.groupreduce.api.Method;
import java.util.List;

/**
 * What several methods cost the softmax of one matrix at several sizes, and where this file stands. A loss increase is that of
 * the mean cross-entropy, 0.01 for one percent.
 *
 * @param curves one a method
 * @param ownRatio the file's size ratio
 * @param ownIncrease the file's loss increase
 */
public record LossFigure(List<Curve> curves, double ownRatio, double ownIncrease) {
    public LossFigure {
        curves = List.copyOf(curves);
    }

    /**
     * The curve of one method.
     *
     * @param ratios size ratios, rising
     * @param increases a loss increase a ratio
     */
    public record Curve(Method method, double[] ratios, double[] increases) {}
}
