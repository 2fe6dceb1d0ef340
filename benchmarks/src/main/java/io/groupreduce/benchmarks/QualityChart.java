package io.groupreduce.benchmarks;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Perplexity increase against size ratio, both logarithmic, as an SVG file. */
final class QualityChart {
    /** The ends of the axis, in percent: below, a rise is noise; beyond, the softmax is of no use. */
    static final double LEAST = 0.01;

    static final double MOST = 1000;

    /** The end of the other axis: points beyond are left out. */
    static final double MOST_RATIO = 64;

    private static final Color[] COLORS = {
        new Color(0x9aa0a6),
        new Color(0x8c564b),
        new Color(0xd9822b),
        new Color(0xc0392b),
        new Color(0xe377a2),
        new Color(0x2f6db5),
        new Color(0x2b0a3d)
    };

    private static final Marker[] MARKERS = {
        SeriesMarkers.CROSS,
        SeriesMarkers.TRIANGLE_DOWN,
        SeriesMarkers.TRIANGLE_UP,
        SeriesMarkers.SQUARE,
        SeriesMarkers.SQUARE,
        SeriesMarkers.CIRCLE,
        SeriesMarkers.CIRCLE
    };

    private static final Color DENSE = new Color(0x3a923a);
    private static final Color TEXT = new Color(0x333333);
    private static final Color GRID = new Color(0xe8e8e8);
    private static final Font FONT = new Font(Font.SANS_SERIF, Font.PLAIN, 13);
    private static final Pattern LONG_NUMBER = Pattern.compile("-?\\d+\\.\\d{3,}(?:E-?\\d+)?");
    private static final Pattern CLIP = Pattern.compile("clip\\d+");

    private QualityChart() {}

    /**
     * Draws a chart.
     *
     * @param rounded points of dense integers
     * @param curves per method its points, ratios ascending
     */
    static void write(Path file, List<Trial> rounded, Map<String, List<Trial>> curves) throws IOException {
        // No screen is needed, and a server has none; must be known before AWT starts.
        System.setProperty("java.awt.headless", "true");
        double leastRatio = Stream.concat(Stream.of(rounded), curves.values().stream())
                .flatMap(List::stream)
                .mapToDouble(Trial::ratio)
                .min()
                .orElseThrow();
        XYChart chart = new XYChartBuilder()
                .width(860)
                .height(560)
                .xAxisTitle("bytes of the dense matrix / bytes of all that replaces it")
                .yAxisTitle("perplexity increase, %")
                .build();
        style(chart.getStyler(), leastRatio);
        int curve = 0;
        for (Map.Entry<String, List<Trial>> entry : curves.entrySet()) {
            int look = curve++ % COLORS.length;
            add(chart, entry.getKey(), entry.getValue(), XYSeriesRenderStyle.Line, COLORS[look], MARKERS[look]);
        }
        String integers = "dense INT8, INT4, INT3";
        add(chart, integers, rounded, XYSeriesRenderStyle.Scatter, DENSE, SeriesMarkers.DIAMOND);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ChartEncoder.saveChart(chart, bytes, "svg");
        Files.createDirectories(file.toAbsolutePath().getParent());
        Files.writeString(file, tidy(bytes.toString(StandardCharsets.UTF_8)));
    }

    /**
     * Hundredths of a pixel instead of fifteen digits (letters are outlines, so all such numbers are coordinates), and clip
     * paths numbered in order instead of at random: the same figures make the same file.
     */
    private static String tidy(String svg) {
        Map<String, String> names = new HashMap<>();
        String rounded = LONG_NUMBER
                .matcher(svg)
                .replaceAll(number -> String.format(Locale.ROOT, "%.2f", Double.parseDouble(number.group())));
        return CLIP.matcher(rounded)
                .replaceAll(clip -> names.computeIfAbsent(clip.group(), name -> "clip" + names.size()));
    }

    private static void add(
            XYChart chart, String name, List<Trial> all, XYSeriesRenderStyle style, Color color, Marker marker) {
        List<Trial> trials = all.stream().filter(t -> t.ratio() <= MOST_RATIO).toList();
        if (trials.isEmpty()) {
            return;
        }
        double[] x = trials.stream().mapToDouble(t -> log2(t.ratio())).toArray();
        double[] y = trials.stream()
                .mapToDouble(t -> Math.clamp(t.perplexityIncrease(), LEAST, MOST))
                .toArray();
        XYSeries series = chart.addSeries(name, x, y);
        series.setLineColor(color);
        series.setLineStyle(new BasicStroke(2f, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
        series.setMarkerColor(color);
        series.setMarker(marker);
        series.setXYSeriesRenderStyle(style);
    }

    private static double log2(double ratio) {
        return Math.log(ratio) / Math.log(2);
    }

    private static void style(XYStyler style, double leastRatio) {
        style.setLocale(Locale.ROOT);
        style.setChartTitleVisible(false);
        style.setChartBackgroundColor(Color.WHITE);
        style.setPlotBackgroundColor(Color.WHITE);
        style.setPlotBorderVisible(false);
        style.setChartFontColor(TEXT);
        style.setChartPadding(10);
        style.setLegendPosition(LegendPosition.OutsideE);
        style.setLegendBorderColor(Color.WHITE);
        style.setLegendFont(FONT);
        style.setMarkerSize(8);
        style.setAxisTitleFont(FONT);
        style.setAxisTickLabelsFont(FONT.deriveFont(12f));
        style.setAxisTickLabelsColor(TEXT);
        style.setPlotGridLinesColor(GRID);
        style.setPlotGridLinesStroke(new BasicStroke(0.8f));
        // A logarithmic axis of XChart labels decades only; this one labels 2, 4, 8 and so on.
        style.setXAxisMin(Math.floor(log2(leastRatio)));
        style.setXAxisMax(log2(MOST_RATIO));
        style.setXAxisTickMarkSpacingHint(100);
        style.setXAxisTickLabelsFormattingFunction(
                power -> power == Math.rint(power) ? String.valueOf(Math.round(Math.pow(2, power))) : "");
        style.setYAxisLogarithmic(true);
        style.setYAxisMin(LEAST);
        style.setYAxisMax(MOST);
        style.setYAxisTickLabelsFormattingFunction(QualityReport::number);
    }
}
