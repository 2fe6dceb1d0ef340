package io.groupreduce.cli.report;

import io.groupreduce.matrix.GroupPlan;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.font.FontRenderContext;
import java.awt.font.TextLayout;
import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.Arrays;
import java.util.Locale;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The look that all charts share: black on white, thin grid, colours that differ in lightness too. */
public final class ChartStyle {
    static {
        // No screen is needed, and a server has none; must be known before AWT starts.
        System.setProperty("java.awt.headless", "true");
    }

    /** The largest number on an axis. Far beyond it ticks are less apart than numbers are, and a chart is never finished. */
    static final double MOST = 1e12;

    static final int WIDTH = 500;
    static final int HEIGHT = 300;

    static final Color BLUE = new Color(0x2f6db5);
    static final Color ORANGE = new Color(0xd9822b);
    static final Color GRAY = new Color(0x9aa0a6);
    static final Color RED = new Color(0xc0392b);

    /** For a handful of curves. */
    private static final Color[] DISTINCT = {
        GRAY, new Color(0x8c564b), ORANGE, BLUE, RED, new Color(0x2b0a3d), new Color(0x3a923a), new Color(0x17becf)
    };

    private static final Marker[] MARKERS = {
        SeriesMarkers.CROSS,
        SeriesMarkers.TRIANGLE_DOWN,
        SeriesMarkers.TRIANGLE_UP,
        SeriesMarkers.CIRCLE,
        SeriesMarkers.SQUARE,
        SeriesMarkers.DIAMOND
    };

    /** For groups in order, frequent ones dark. */
    private static final Color[] ORDERED = {
        new Color(0x2b0a3d), new Color(0x3b528b), new Color(0x21908c), new Color(0x5dc863), new Color(0xb8c42a)
    };

    private static final Color TEXT = new Color(0x333333);
    private static final Color GRID = new Color(0xe3e3e3);
    private static final Color FAINT = new Color(0xf1f1f1);

    private static final Font FONT = new Font(Font.SANS_SERIF, Font.PLAIN, 12);

    /** Whether this machine has a font: Java takes them from fontconfig, which a small server image lacks. */
    static final boolean CAN_DRAW_TEXT = canDrawText();

    private static boolean canDrawText() {
        try {
            return new TextLayout("0", FONT, new FontRenderContext(null, true, true)).getAdvance() > 0;
        } catch (RuntimeException | InternalError | LinkageError e) {
            // Which of them it is depends on the JDK's version and on what is missing: font, fontconfig or its library.
            return false;
        }
    }

    private ChartStyle() {}

    static XYChart lines(String xTitle, String yTitle) {
        return lines(WIDTH, HEIGHT, xTitle, yTitle);
    }

    /** An empty chart for curves. */
    public static XYChart lines(int width, int height, String xTitle, String yTitle) {
        XYChart chart = new XYChartBuilder()
                .width(width)
                .height(height)
                .xAxisTitle(xTitle)
                .yAxisTitle(yTitle)
                .build();
        apply(chart.getStyler());
        return chart;
    }

    static CategoryChart bars(String xTitle, String yTitle) {
        CategoryChart chart = new CategoryChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .xAxisTitle(xTitle)
                .yAxisTitle(yTitle)
                .build();
        apply(chart.getStyler());
        chart.getStyler().setAvailableSpaceFill(0.75).setOverlapped(true);
        return chart;
    }

    private static void apply(AxesChartStyler style) {
        style.setLocale(Locale.ROOT);
        style.setChartTitleVisible(false);
        style.setChartBackgroundColor(Color.WHITE);
        style.setPlotBackgroundColor(Color.WHITE);
        style.setPlotBorderVisible(false);
        style.setChartFontColor(TEXT);
        style.setChartPadding(8);
        style.setLegendPosition(LegendPosition.OutsideS);
        style.setLegendLayout(LegendLayout.Horizontal);
        style.setLegendBorderColor(Color.WHITE);
        style.setLegendFont(FONT);
        style.setMarkerSize(5);
        style.setAxisTitleFont(FONT);
        style.setAxisTickLabelsFont(FONT.deriveFont(11f));
        style.setAxisTickLabelsColor(TEXT);
        style.setAxisTickMarksColor(GRAY);
        style.setPlotGridLinesColor(GRID);
        style.setPlotGridLinesStroke(new BasicStroke(0.8f));
        style.setPlotGridVerticalLinesVisible(false);
    }

    /** Numbers as an axis can show them: the too large at its end, what is no number left out. */
    static double[] shown(double[] values) {
        return Arrays.stream(values)
                .map(value -> Math.clamp(value, -MOST, MOST))
                .toArray();
    }

    /** A logarithmic y axis; its many lines are fainter. */
    static void logarithmic(AxesChartStyler style, double least, double most) {
        style.setYAxisLogarithmic(true);
        style.setYAxisMin(least);
        style.setYAxisMax(most);
        style.setYAxisTickLabelsFormattingFunction(ChartStyle::number);
        style.setPlotGridLinesColor(FAINT);
    }

    /**
     * An axis whose numbers are logarithms to base 2, with labels 2, 4, 8 and so on: a logarithmic axis of XChart labels decades only.
     */
    static void octaves(AxesChartStyler style, double from, double to) {
        style.setPlotGridVerticalLinesVisible(true);
        style.setXAxisMin(from);
        style.setXAxisMax(to);
        // A tick an octave, as wide as the plot is without titles and labels.
        style.setXAxisTickMarkSpacingHint((int) (0.8 * WIDTH / (to - from)));
        style.setXAxisTickLabelsFormattingFunction(
                power -> Math.abs(power - Math.rint(power)) < 1e-6 ? number(Math.pow(2, Math.rint(power))) : "");
    }

    /** A power of ten, at most {@code value}. */
    static double decadeBelow(double value) {
        return Math.pow(10, Math.floor(Math.log10(value)));
    }

    private static String number(double value) {
        return new DecimalFormat("#,##0.######", DecimalFormatSymbols.getInstance(Locale.ROOT)).format(value);
    }

    /** One of a handful of colours that are easy to tell apart. */
    public static Color distinct(int index) {
        return DISTINCT[index % DISTINCT.length];
    }

    static Marker marker(int index) {
        return MARKERS[index % MARKERS.length];
    }

    /** The colour of item {@code index} of {@code count} that have an order. */
    static Color ordered(int index, int count) {
        double at = count < 2 ? 0 : (double) index / (count - 1) * (ORDERED.length - 1);
        int lower = Math.min((int) at, ORDERED.length - 2);
        double share = at - lower;
        Color a = ORDERED[lower];
        Color b = ORDERED[lower + 1];
        return new Color(
                mix(a.getRed(), b.getRed(), share),
                mix(a.getGreen(), b.getGreen(), share),
                mix(a.getBlue(), b.getBlue(), share));
    }

    private static int mix(int a, int b, double share) {
        return (int) Math.round(a + (b - a) * share);
    }

    /** The colour of a way to store a group. */
    static Color of(GroupPlan plan) {
        return plan.isDense() ? ORANGE : plan.isZero() ? GRAY : BLUE;
    }
}
