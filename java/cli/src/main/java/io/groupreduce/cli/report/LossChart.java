package io.groupreduce.cli.report;

import java.util.Arrays;
import org.knowm.xchart.XYChart;

/** The chart of {@link LossFigure}. */
final class LossChart {
    /** The ends of the axis, in percent: below, a rise is noise; beyond, the softmax is of no use. */
    private static final double LEAST = 0.01;

    private static final double MOST = 1000;

    private LossChart() {}

    /** Loss increase against size ratio on a logarithmic axis, one curve a method, and the file itself. */
    static Drawing of(String id, LossFigure figure) {
        return Drawing.of(id, "Loss increase against size ratio", () -> {
            XYChart chart = ChartStyle.lines("size ratio", "rise of the mean cross-entropy, %");
            double least = shown(figure.ownIncrease());
            double most = shown(figure.ownIncrease());
            int color = 0;
            for (LossFigure.Curve curve : figure.curves()) {
                double[] rises =
                        Arrays.stream(curve.increases()).map(LossChart::shown).toArray();
                if (rises.length > 0) {
                    Charts.line(chart, curve.method().label(), curve.ratios(), rises, ChartStyle.distinct(color));
                    least = Math.min(least, Arrays.stream(rises).min().getAsDouble());
                    most = Math.max(most, Arrays.stream(rises).max().getAsDouble());
                }
                color++;
            }
            Charts.own(chart, figure.ownRatio(), shown(figure.ownIncrease()));
            ChartStyle.logarithmic(chart.getStyler(), Charts.decadeBelow(least), 10 * Charts.decadeBelow(most));
            return chart;
        });
    }

    private static double shown(double increase) {
        return Math.clamp(100 * increase, LEAST, MOST);
    }
}
