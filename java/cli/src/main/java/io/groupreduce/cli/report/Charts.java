package io.groupreduce.cli.report;

import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Spectrum;
import java.awt.BasicStroke;
import java.awt.Color;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategorySeries;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.None;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** The charts of a report. No text of the user's goes into one, only words of this program: any font can draw those. */
final class Charts {
    /** More entries than this are told apart by the caption instead of a legend. */
    private static final int MOST_IN_LEGEND = 6;

    /** More bars than this stand without a number. */
    private static final int MOST_LABELLED = 12;

    private static final int MOST_MARKED_POINTS = 24;

    private static final List<String> KINDS = List.of("low-rank", "dense", "zero");

    /** The least share of the energy that is drawn: what is far below the precision of the numbers is noise. */
    private static final double LEAST_SHARE = 1e-12;

    /** The ends of a rise of the loss, in percent. */
    private static final double LEAST_RISE = 0.01;

    private static final double MOST_RISE = 1000;

    /** Series that run from the most to the least frequent group, when they are too many for a legend. */
    static final String ORDER = "Dark lines belong to the first bases, light ones to the last.";

    private Charts() {}

    /** Whether the spectra of a result are too many for a legend. */
    static boolean isCrowded(CompressionSummary result) {
        return result.spectra().size() > MOST_IN_LEGEND;
    }

    /** Eigenvalues as shares of their basis's energy, on a logarithmic axis. */
    static Drawing spectra(String id, CompressionSummary result) {
        List<Spectrum> spectra = result.spectra();
        List<double[]> shares = new ArrayList<>();
        for (Spectrum spectrum : spectra) {
            shares.add(
                    spectrum.trace() > 0
                            ? Arrays.stream(spectrum.values())
                                    .map(value -> value / spectrum.trace())
                                    .takeWhile(share -> share >= LEAST_SHARE)
                                    .toArray()
                            : new double[0]);
        }
        if (shares.stream().allMatch(share -> share.length == 0)) {
            return Drawing.none("There is no basis with energy in it, so there are no eigenvalues.");
        }
        return Drawing.of(id, "Eigenvalues of each basis, falling", () -> {
            XYChart chart = ChartStyle.lines("direction", "share of the basis's energy");
            decades(chart, shares);
            chart.getStyler().setLegendVisible(spectra.size() > 1 && !isCrowded(result));
            for (int b = 0; b < shares.size(); b++) {
                double[] y = shares.get(b);
                if (y.length > 0) {
                    line(chart, "basis " + b, upTo(y.length), y, ChartStyle.ordered(b, shares.size()));
                }
            }
            return chart;
        });
    }

    /** A logarithmic axis over whole decades: a part of one may have no labelled tick. */
    private static void decades(XYChart chart, List<double[]> curves) {
        double least = curves.stream().flatMapToDouble(Arrays::stream).min().orElseThrow();
        ChartStyle.logarithmic(chart.getStyler(), Math.min(0.1, ChartStyle.decadeBelow(least)), 1);
    }

    private static double[] upTo(int n) {
        double[] numbers = new double[n];
        Arrays.setAll(numbers, j -> j + 1);
        return numbers;
    }

    private static void line(XYChart chart, String name, double[] x, double[] y, Color color) {
        look(
                chart.addSeries(name, x, ChartStyle.shown(y)),
                color,
                x.length <= MOST_MARKED_POINTS ? SeriesMarkers.CIRCLE : new None());
    }

    static void look(XYSeries series, Color color, Marker marker) {
        series.setLineColor(color).setLineStyle(new BasicStroke(1.6f));
        series.setMarker(marker).setMarkerColor(color);
    }

    /** Rows per group on a logarithmic axis: sizes differ by orders of magnitude. */
    static Drawing groupSizes(String id, CompressedMatrix matrix) {
        int[] sizes = matrix.groupSizes();
        return groups(id, "Rows in each group", "rows", true, matrix.groups(), g -> sizes[g]);
    }

    /** Rank per group; a dense group has all directions, a zero group none. */
    static Drawing ranks(String id, CompressedMatrix matrix) {
        List<GroupPlan> plans = matrix.groups();
        return groups(id, "Rank of each group", "rank", false, plans, g -> plans.get(g)
                .rank());
    }

    private static Drawing groups(
            String id,
            String description,
            String yTitle,
            boolean log,
            List<GroupPlan> plans,
            IntToDoubleFunction value) {
        double highest =
                IntStream.range(0, plans.size()).mapToDouble(value).max().orElse(1);
        return Drawing.of(id, description, () -> {
            CategoryChart chart = ChartStyle.bars("group", yTitle);
            if (log) {
                // Below 1, so that a group of one row still has a bar; above the highest bar there is room for its
                // number.
                ChartStyle.logarithmic(chart.getStyler(), 0.5, 2.5 * highest);
            } else {
                chart.getStyler().setYAxisMin(0.0).setYAxisMax(Math.max(1, 1.15 * highest));
                chart.getStyler().setYAxisDecimalPattern("#,##0");
            }
            chart.getStyler().setLabelsVisible(plans.size() <= MOST_LABELLED);
            chart.getStyler().setLabelsPosition(1.06);
            List<String> names =
                    IntStream.range(0, plans.size()).mapToObj(String::valueOf).toList();
            for (String kind : KINDS) {
                int[] members = members(plans, kind, value);
                if (members.length > 0) {
                    List<Double> heights = new ArrayList<>(Collections.nCopies(plans.size(), null));
                    for (int g : members) {
                        heights.set(g, value.applyAsDouble(g));
                    }
                    chart.addSeries(kind, names, heights).setFillColor(ChartStyle.of(plans.get(members[0])));
                }
            }
            return chart;
        });
    }

    /** The groups of a kind that have something to show. */
    private static int[] members(List<GroupPlan> plans, String kind, IntToDoubleFunction value) {
        return IntStream.range(0, plans.size())
                .filter(g -> Figures.kind(plans.get(g)).equals(kind) && value.applyAsDouble(g) > 0)
                .toArray();
    }

    /** How many rows are kept at each rank, a curve for the bits of their widest numbers: for groups too many to stand side by side. */
    static Drawing rowsByRank(String id, CompressedMatrix matrix) {
        int[] sizes = matrix.groupSizes();
        Map<String, SortedMap<Integer, Integer>> series = new LinkedHashMap<>();
        for (boolean lowRank : new boolean[] {true, false}) {
            for (int g = 0; g < sizes.length; g++) {
                GroupPlan plan = matrix.groups().get(g);
                if (plan.isLowRank() == lowRank) {
                    series.computeIfAbsent(Figures.widest(plan), k -> new TreeMap<>())
                            .merge(plan.rank(), sizes[g], Integer::sum);
                }
            }
        }
        return Drawing.of(id, "Rows by rank", () -> {
            XYChart chart = ChartStyle.lines("rank", "rows");
            int color = 0;
            double most = 1;
            for (Map.Entry<String, SortedMap<Integer, Integer>> entry : series.entrySet()) {
                double[] ranks =
                        entry.getValue().keySet().stream().mapToDouble(r -> r).toArray();
                double[] rows =
                        entry.getValue().values().stream().mapToDouble(r -> r).toArray();
                line(chart, entry.getKey(), ranks, rows, ChartStyle.ordered(color++, series.size()));
                most = Math.max(most, Arrays.stream(rows).max().orElse(1));
            }
            ChartStyle.logarithmic(chart.getStyler(), 0.5, 1.5 * most);
            chart.getStyler().setXAxisMin(0.0);
            return chart;
        });
    }

    /** Where the stored bytes are. */
    static Drawing storedBytes(String id, StoredBytes stored) {
        return Drawing.of(id, "Stored bytes by part", () -> {
            CategoryChart chart = ChartStyle.bars("part", "share of the stored bytes, %");
            List<String> names = List.of("left", "right", "scales", "dense rows", "groups, header");
            List<Double> shares = new ArrayList<>();
            for (long bytes :
                    new long[] {stored.left(), stored.right(), stored.scales(), stored.dense(), stored.numbers()}) {
                shares.add(100.0 * bytes / stored.total());
            }
            CategorySeries series = chart.addSeries("bytes", names, shares);
            series.setFillColor(ChartStyle.BLUE);
            chart.getStyler().setLegendVisible(false);
            chart.getStyler().setYAxisDecimalPattern("0");
            chart.getStyler().setYAxisMin(0.0);
            return chart;
        });
    }

    /** Whether there are states enough to make a curve: two are the ends of one round. */
    static boolean isCurve(List<Double> states) {
        return states.size() > 2;
    }

    /** The loss of every state of the refinement as a share of the energy. */
    static Drawing refinement(String id, CompressionSummary result) {
        List<Double> losses = result.refinement();
        return Drawing.of(id, "Loss after each round of refinement", () -> {
            XYChart chart = ChartStyle.lines("round", "loss, % of the energy");
            double[] rounds = new double[losses.size()];
            Arrays.setAll(rounds, r -> r);
            double[] shares = losses.stream()
                    .mapToDouble(loss -> 100 * loss / result.energy())
                    .toArray();
            line(chart, "loss", rounds, shares, ChartStyle.BLUE);
            chart.getStyler().setLegendVisible(false);
            chart.getStyler().setXAxisDecimalPattern("0").setYAxisDecimalPattern("0.####");
            return chart;
        });
    }

    /** Mean KL on held-out hidden states before calibration and after each epoch. */
    static Drawing calibration(String id, CompressionSummary result) {
        double[] losses = result.calibration().stream().mapToDouble(kl -> kl).toArray();
        return Drawing.of(id, "Mean KL after each epoch of calibration", () -> {
            XYChart chart = ChartStyle.lines("epoch", "mean KL, nats");
            double[] epochs = new double[losses.length];
            Arrays.setAll(epochs, e -> e);
            line(chart, "KL", epochs, losses, ChartStyle.BLUE);
            chart.getStyler().setLegendVisible(false);
            chart.getStyler().setXAxisDecimalPattern("0").setYAxisDecimalPattern("0.####");
            chart.getStyler().setYAxisMin(0.0);
            return chart;
        });
    }

    /** Error against size of several methods, each with a point at least, and where this result stands. */
    static Drawing errorCurves(String id, CompressionSummary result, List<ErrorCurve> curves) {
        return Drawing.of(id, "Count-weighted relative error against size ratio", () -> {
            SizeChart chart = SizeChart.linear(ChartStyle.lines("size ratio", "count-weighted relative error, %"));
            for (ErrorCurve curve : curves) {
                chart.curve(
                        curve.method().label(),
                        curve.method().ordinal(),
                        curve.ratios(),
                        percent(curve.relativeErrors()));
            }
            own(chart, result.ratio(), result.relativeError());
            return chart.chart();
        });
    }

    /** Loss increase against size ratio on a logarithmic axis, one curve a method, and the file itself. */
    static Drawing losses(String id, LossFigure figure) {
        return Drawing.of(id, "Loss increase against size ratio", () -> {
            XYChart empty = ChartStyle.lines("size ratio", "rise of the mean cross-entropy, %");
            SizeChart chart = SizeChart.logarithmic(empty, LEAST_RISE, MOST_RISE);
            for (LossFigure.Curve curve : figure.curves()) {
                chart.curve(
                        curve.method().label(), curve.method().ordinal(), curve.ratios(), percent(curve.increases()));
            }
            own(chart, figure.ownRatio(), figure.ownIncrease());
            return chart.chart();
        });
    }

    /** Where the file itself stands. */
    private static void own(SizeChart chart, double ratio, double share) {
        chart.points("this file", new double[] {ratio}, percent(new double[] {share}), ChartStyle.RED, new OwnPoint());
    }

    private static double[] percent(double[] shares) {
        return Arrays.stream(shares).map(share -> 100 * share).toArray();
    }
}
