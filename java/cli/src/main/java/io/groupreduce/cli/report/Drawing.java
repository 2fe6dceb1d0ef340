package io.groupreduce.cli.report;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.internal.chartpart.IChart;

/**
 * A chart as an SVG element that can stand in an HTML page, or the reason why there is none.
 *
 * @param svg the element; empty when there is none
 * @param reason a sentence; empty when there is a drawing
 */
record Drawing(String svg, String reason) {
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
        try {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            IChart drawn = chart.get();
            ChartEncoder.saveChart(drawn, bytes, "svg");
            String document = bytes.toString(StandardCharsets.UTF_8);
            return new Drawing(embeddable(document, drawn.getWidth(), drawn.getHeight(), id, description), "");
        } catch (IOException e) {
            throw new UncheckedIOException("a stream in memory failed", e);
        }
    }

    /**
     * Makes an element of an SVG document: no declarations, sized by the page, clip paths under names of their own
     * (they come with random ones, and a page has one name space), hundredths of a pixel instead of fifteen digits.
     * Letters are outlines, so all numbers in it are coordinates.
     */
    private static String embeddable(String document, int width, int height, String id, String description) {
        String root = String.format(
                Locale.ROOT,
                "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">",
                width,
                height,
                Html.escape(description));
        String body = ROOT.matcher(document).replaceFirst(Matcher.quoteReplacement(root));
        body = LONG_NUMBER.matcher(body).replaceAll(number -> hundredths(number.group()));
        StringBuilder named = new StringBuilder();
        Map<String, String> names = new HashMap<>();
        Matcher clip = CLIP.matcher(body);
        while (clip.find()) {
            clip.appendReplacement(named, names.computeIfAbsent(clip.group(), k -> id + "c" + names.size()));
        }
        return clip.appendTail(named).toString().replaceAll(">\\s+<", "><").strip();
    }

    private static String hundredths(String number) {
        double rounded = Math.rint(Double.parseDouble(number) * 100) / 100;
        return rounded == Math.rint(rounded) ? String.valueOf((long) rounded) : String.valueOf(rounded);
    }
}
