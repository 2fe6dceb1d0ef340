package io.groupreduce.cli.report;

import java.awt.Color;
import java.util.Arrays;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.markers.Marker;

/** Something that grows as a file shrinks, against the size ratio on a logarithmic axis: a curve a method, in steps of two. */
public final class SizeChart {
    /** Room at both ends, in octaves. */
    private static final double MARGIN = 0.08;

    private final XYChart chart;
    private final double floor;
    private final double ceiling;
    private double leastRatio = Double.POSITIVE_INFINITY;
    private double mostRatio;
    private double least = Double.POSITIVE_INFINITY;
    private double most;

    private SizeChart(XYChart chart, double floor, double ceiling) {
        this.chart = chart;
        this.floor = floor;
        this.ceiling = ceiling;
    }

    /**
     * A logarithmic axis over whole decades. What lies below {@code floor} stands at the foot of the chart, where a rise is noise;
     * what lies beyond {@code ceiling} at its head, where a softmax is of no use.
     */
    public static SizeChart logarithmic(XYChart chart, double floor, double ceiling) {
        return new SizeChart(chart, floor, ceiling);
    }

    /** A linear axis from 0 on. */
    static SizeChart linear(XYChart chart) {
        return new SizeChart(chart, 0, Double.POSITIVE_INFINITY);
    }

    /** Adds the curve of a method, whose ratios rise; {@code look} chooses colour and marker. */
    public void curve(String name, int look, double[] ratios, double[] values) {
        if (ratios.length > 0) {
            Charts.look(add(name, ratios, values), ChartStyle.distinct(look), ChartStyle.marker(look));
        }
    }

    /** Adds points that belong to no curve. */
    public void points(String name, double[] ratios, double[] values, Color color, Marker marker) {
        XYSeries series = add(name, ratios, values);
        series.setXYSeriesRenderStyle(XYSeriesRenderStyle.Scatter);
        series.setMarker(marker).setMarkerColor(color);
    }

    private XYSeries add(String name, double[] ratios, double[] values) {
        double[] shown = Arrays.stream(ChartStyle.shown(values))
                .map(value -> Math.clamp(value, floor, ceiling))
                .toArray();
        for (int i = 0; i < shown.length; i++) {
            leastRatio = Math.min(leastRatio, ratios[i]);
            mostRatio = Math.max(mostRatio, ratios[i]);
            if (!Double.isNaN(shown[i])) {
                least = Math.min(least, shown[i]);
                most = Math.max(most, shown[i]);
            }
        }
        return chart.addSeries(name, Arrays.stream(ratios).map(SizeChart::log2).toArray(), shown);
    }

    /** The chart, its axes fitted to what was added. */
    public XYChart chart() {
        // A point just beside an octave does not open another one.
        double from = Math.floor(log2(leastRatio) + MARGIN);
        double to = Math.ceil(log2(mostRatio) - MARGIN) + MARGIN;
        ChartStyle.octaves(chart.getStyler(), from, Math.max(to, from + 1));
        if (floor > 0) {
            double head = ChartStyle.decadeBelow(Math.max(most, floor));
            double foot = ChartStyle.decadeBelow(Math.min(least, Math.max(most, floor)));
            ChartStyle.logarithmic(chart.getStyler(), foot, head == most ? head : 10 * head);
        } else {
            chart.getStyler().setYAxisMin(0.0);
        }
        return chart;
    }

    private static double log2(double ratio) {
        return Math.log(ratio) / Math.log(2);
    }
}
