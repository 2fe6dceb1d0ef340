package io.groupreduce.benchmarks;

import io.groupreduce.api.Method;
import io.groupreduce.cli.report.ChartStyle;
import io.groupreduce.cli.report.Drawing;
import io.groupreduce.cli.report.SizeChart;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * The picture of {@link QualityCurves}' table: perplexity increase against size ratio, both logarithmic. Arguments: the table, a Markdown
 * file, and the SVG file to write; so a picture can be drawn anew without measuring again.
 */
public final class QualityChart {
    /** The ends of the axis, in percent: below, a rise is noise; beyond, the softmax is of no use. */
    static final double LEAST = 0.1;

    static final double MOST = 1000;

    /** Points beyond are left out. */
    static final double MOST_RATIO = 64;

    /** How a row of the table ends that is drawn, among several scale formats of dense integers. */
    static final String DENSE_SCALES = ", a BF16 scale a row";

    private static final String DENSE = "dense INT8, INT4, INT3";

    private QualityChart() {}

    public static void main(String[] arguments) throws IOException {
        draw(Path.of(arguments[0]), Path.of(arguments[1]));
    }

    /** Draws the table of a Markdown file. */
    static void draw(Path table, Path picture) throws IOException {
        // Each point: ratio, rise.
        Map<String, List<double[]>> methods = new LinkedHashMap<>();
        for (String line : Files.readAllLines(table)) {
            String[] cells = line.split(" *\\| *", -1);
            if (cells.length == 10 && cells[3].matches("[\\d.]+") && Double.parseDouble(cells[3]) <= MOST_RATIO) {
                double[] point = {Double.parseDouble(cells[3]), Double.parseDouble(cells[5].split(" ")[0])};
                String name = cells[2].endsWith(DENSE_SCALES) ? DENSE : cells[2];
                methods.computeIfAbsent(name, k -> new ArrayList<>()).add(point);
            }
        }
        XYChart empty = ChartStyle.lines(
                860,
                500,
                "times smaller: bytes of the dense matrix / bytes of all that replaces it",
                "perplexity increase, %");
        empty.getStyler().setLegendPosition(LegendPosition.OutsideE);
        empty.getStyler().setLegendLayout(LegendLayout.Vertical);
        empty.getStyler().setMarkerSize(8);
        SizeChart chart = SizeChart.logarithmic(empty, LEAST, MOST);
        // The legend names curves from the highest to the lowest.
        methods.entrySet().stream()
                .sorted(Comparator.comparingDouble(entry -> -entry.getValue().getLast()[1]))
                .forEach(entry -> add(chart, entry.getKey(), entry.getValue()));
        Files.createDirectories(picture.toAbsolutePath().getParent());
        Files.writeString(picture, Drawing.document(chart.chart(), ""));
    }

    private static void add(SizeChart chart, String name, List<double[]> points) {
        double[] ratios = points.stream().mapToDouble(point -> point[0]).toArray();
        double[] rises = points.stream().mapToDouble(point -> point[1]).toArray();
        int look = look(name);
        if (name.equals(DENSE)) {
            chart.points(name, ratios, rises, ChartStyle.distinct(look), SeriesMarkers.DIAMOND);
        } else if (look >= 0) {
            chart.curve(name, look, ratios, rises);
        }
    }

    /** Methods look as they do in a report; negative for what is not drawn. */
    private static int look(String name) {
        List<String> looks = new ArrayList<>(
                Arrays.stream(Method.values()).map(Method::label).toList());
        looks.addAll(List.of("groupreduce INT8", "rate-distortion, calibrated", DENSE, "rate-distortion, packed"));
        return looks.indexOf(name.replaceFirst(", .* epochs?$", ", calibrated"));
    }
}
