package io.groupreduce.cli.report;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.internal.chartpart.IChart;

/**
 * A chart as an SVG element that can stand in an HTML page, or the reason why there is none.
 *
 * @param svg the element; empty when there is none
 * @param remark a sentence: the reason why there is none, or what the drawing leaves out; empty when it shows all
 */
public record Drawing(String svg, String remark) {
    private static final Pattern LONG_NUMBER = Pattern.compile("-?\\d+\\.\\d{3,}(?:E-?\\d+)?");
    private static final Pattern ROOT = Pattern.compile("^.*?<svg[^>]*>", Pattern.DOTALL);
    private static final Pattern CLIP = Pattern.compile("clip\\d+");

    static Drawing none(String reason) {
        return new Drawing("", reason);
    }

    /**
     * Draws a chart. A machine without fonts cannot draw text, so it gets the reason instead of the chart, and the rest
     * of the report stays.
     *
     * @param id unique in the page: letters and digits
     * @param description what a screen reader says
     */
    static Drawing of(String id, String description, Supplier<IChart> chart) {
        if (!ChartStyle.CAN_DRAW_TEXT) {
            return none("The chart is left out because Java cannot draw text here; install fontconfig and a font.");
        }
        IChart drawn = chart.get();
        String root = String.format(
                Locale.ROOT,
                "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">",
                drawn.getWidth(),
                drawn.getHeight(),
                Html.escape(description));
        String element = ROOT.matcher(document(drawn, id)).replaceFirst(Matcher.quoteReplacement(root));
        return new Drawing(element.replaceAll(">\\s+<", "><").strip(), leftOut(drawn));
    }

    private static String leftOut(IChart drawn) {
        boolean cut = drawn instanceof XYChart chart
                && chart.getSeriesCollection().stream()
                        .flatMapToDouble(series -> Arrays.stream(series.getYData()))
                        .anyMatch(value -> !(Math.abs(value) < ChartStyle.MOST));
        return cut ? "Numbers beyond 1e12 stand at the end of the axis; what is no number is left out." : "";
    }

    /**
     * A chart as an SVG file, the same for the same figures: clip paths are named in order (they come with random names, and a page has
     * one name space) and numbers, all of them coordinates since letters are outlines, have hundredths of a pixel.
     *
     * @param id what names of clip paths begin with
     */
    public static String document(IChart chart, String id) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            ChartEncoder.saveChart(chart, bytes, "svg");
        } catch (IOException e) {
            throw new UncheckedIOException("a stream in memory failed", e);
        }
        Map<String, String> names = new HashMap<>();
        String rounded = LONG_NUMBER
                .matcher(bytes.toString(StandardCharsets.UTF_8))
                .replaceAll(number -> hundredths(number.group()));
        return CLIP.matcher(rounded)
                .replaceAll(clip -> names.computeIfAbsent(clip.group(), k -> id + "c" + names.size()));
    }

    private static String hundredths(String number) {
        double rounded = Math.rint(Double.parseDouble(number) * 100) / 100;
        return rounded == Math.rint(rounded) ? String.valueOf((long) rounded) : String.valueOf(rounded);
    }
}
