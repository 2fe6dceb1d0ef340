package io.groupreduce.cli.report;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Estimate;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Method;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.cli.report.Html.Column;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleFunction;

/** What the report says about one tensor. */
final class TensorSection {
    /** A longer table of groups is folded, so that the charts stay in reach, and bars of so many cannot be told apart. */
    private static final int MOST_UNFOLDED = 40;

    private final Html html;
    private final String id;
    private final String tensor;
    private final CompressionSummary result;
    private final CompressedMatrix matrix;

    /**
     * A section to be written.
     *
     * @param id unique in the page: letters and digits
     */
    TensorSection(Html html, String id, NamedResult named) {
        this.html = html;
        this.id = id;
        this.tensor = named.tensor();
        this.result = named.result();
        this.matrix = named.matrix();
    }

    /** Adds the section; {@code evaluation}, {@code losses} and {@code query} may be null, {@code curves} empty. */
    void write(Evaluation evaluation, List<ErrorCurve> curves, LossFigure losses, QueryTime query) {
        html.markup("<section>").element("h2", tensor);
        html.paragraph(summary());
        if (query != null) {
            html.paragraph(query.sentence());
        }
        if (evaluation != null) {
            evaluation(evaluation);
        }
        html.element("h3", "Groups");
        groups();
        html.markup("<div class=\"charts\">");
        if (losses != null) {
            html.figure(
                    "Loss increase against size ratio",
                    Charts.losses(id + "losses", losses),
                    "Mean cross-entropy on hidden states, without refinement and under the weights of this file; rises"
                            + " beyond the axis stand at its ends. A diamond is this file, as stored.");
        }
        html.figure("Eigenvalues of each basis", Charts.spectra(id + "spectra", result), spectraRemark());
        List<ErrorCurve> drawn =
                curves.stream().filter(curve -> curve.ratios().length > 0).toList();
        if (!drawn.isEmpty()) {
            html.figure(
                    "Count-weighted relative error against size ratio",
                    Charts.errorCurves(id + "curves", result, drawn),
                    "Curves: before refinement and rounding. A diamond is this file, as stored.");
        }
        groupCharts();
        if (Charts.isCurve(result.refinement()) && result.energy() > 0) {
            html.figure(
                    "Loss after each round of refinement",
                    Charts.refinement(id + "refinement", result),
                    result.options().method() == Method.RATE_DISTORTION
                            ? "As it would be stored; only states better than all before."
                            : "Before quantization; the best state was kept.");
        }
        if (Charts.isCurve(result.calibration())) {
            html.figure(
                    "Calibration",
                    Charts.calibration(id + "calibration", result),
                    "Mean KL to the dense softmax on held-out hidden states; the best state was kept.");
        }
        StoredBytes stored = StoredBytes.of(matrix);
        html.figure("Stored bytes by part", Charts.storedBytes(id + "bytes", stored), bytes(stored));
        html.markup("</div></section>");
    }

    private void groupCharts() {
        if (matrix.groups().size() > MOST_UNFOLDED) {
            html.figure(
                    "Rows by rank",
                    Charts.rowsByRank(id + "rows", matrix),
                    "A curve for the bits of the widest coordinates, all bases together; dense rows keep all "
                            + Figures.count(matrix.columns()) + " columns, zero rows nothing. Logarithmic axis.");
            return;
        }
        html.figure("Rows in each group", Charts.groupSizes(id + "sizes", matrix), "Logarithmic axis.");
        html.figure(
                "Rank of each group",
                Charts.ranks(id + "ranks", matrix),
                "A dense group keeps all " + Figures.count(matrix.columns()) + " columns, a zero group nothing.");
    }

    private String summary() {
        CompressionOptions options = result.options();
        StringBuilder text = new StringBuilder();
        text.append(Figures.count(matrix.rows())).append(" rows of ").append(Figures.count(matrix.columns()));
        text.append(" columns, stored as ").append(result.type()).append(" in ");
        text.append(Figures.bytes(result.sourceBytes())).append(" (");
        text.append(Figures.count(result.sourceBytes())).append(" bytes), became ");
        text.append(Figures.bytes(matrix.bytes())).append(" (").append(Figures.count(matrix.bytes()));
        text.append(" bytes): ").append(Figures.ratio(result.ratio())).append(" smaller, ");
        text.append(Figures.mean(matrix.coordinatesPerRow()))
                .append(" coordinates a row, count-weighted relative error ");
        text.append(Figures.percent(result.relativeError()));
        text.append(". Method ").append(options.method().label());
        text.append(", asked for ").append(target(options));
        options.alpha().ifPresent(alpha -> text.append(", alpha ").append(Figures.plain(alpha)));
        text.append(result.metric() ? ", with a metric" : "");
        if (matrix.packed() != null) {
            text.append(", packed, ")
                    .append(Figures.bytes(matrix.residentBytes()))
                    .append(" in memory");
        }
        options.codec().ifPresent(codec -> text.append(", codec ").append(codec.label()));
        text.append(", ").append(matrix.bases()).append(matrix.bases() == 1 ? " basis" : " bases");
        text.append(matrix.bases() == 0 ? ", " : " of " + Figures.bytes(matrix.rightBytes()) + ", ");
        text.append(matrix.groups().size()).append(matrix.groups().size() == 1 ? " group." : " groups.");
        if (result.refinement().size() == 2 && result.energy() > 0) {
            text.append(" A round of refinement took the loss from ");
            text.append(Figures.percent(result.refinement().get(0) / result.energy()))
                    .append(" to ");
            text.append(Figures.percent(result.refinement().get(1) / result.energy()))
                    .append(" of the energy.");
        }
        if (!result.calibration().isEmpty()) {
            text.append(" Calibration took the mean KL on held-out hidden states from ");
            text.append(Figures.nats(result.calibration().get(0))).append(" to ");
            text.append(Figures.nats(Collections.min(result.calibration()))).append(" nats.");
        }
        return text.toString();
    }

    private static String target(CompressionOptions options) {
        if (options.maxLossIncrease().isPresent()) {
            return "a loss increase of at most "
                    + Figures.percent(options.maxLossIncrease().getAsDouble());
        }
        SizeTarget target = options.target();
        String unit = target.unit() == SizeUnit.BYTES ? "bytes" : "parameters";
        return target.size() > 0
                ? "at most " + Figures.count(target.size()) + " " + unit
                : "a ratio of " + Figures.plain(target.ratio()) + " in " + unit;
    }

    private void evaluation(Evaluation evaluation) {
        List<Column> columns = List.of(
                Column.text("Softmax over " + Figures.count(evaluation.tokens()) + " hidden states"),
                Column.number("Dense"),
                Column.number("Compressed"),
                Column.number("Change"),
                Column.number("95 % interval"));
        List<List<String>> rows = new ArrayList<>();
        if (evaluation.hasPerplexity()) {
            rows.add(List.of(
                    "Perplexity",
                    Figures.perplexity(evaluation.densePerplexity()),
                    Figures.perplexity(evaluation.compressedPerplexity()),
                    Figures.signedPercent(evaluation.perplexityIncrease().mean()),
                    Figures.between(evaluation.perplexityIncrease(), Figures::signedPercent)));
        }
        rows.add(figure("Mean KL(dense || compressed), nats", evaluation.kl(), Figures::nats));
        rows.add(figure("Top-1 agreement", evaluation.top1(), Figures::percent));
        rows.add(figure("Top-10 agreement", evaluation.top10(), Figures::percent));
        html.element("h3", "Softmax before and after").table(columns, rows);
        if (!evaluation.hasPerplexity()) {
            html.element("p class=\"note\"", HtmlReport.NO_TARGETS);
        }
    }

    private static List<String> figure(String name, Estimate value, DoubleFunction<String> figure) {
        return List.of(name, "", figure.apply(value.mean()), "", Figures.between(value, figure));
    }

    private void groups() {
        List<Column> columns = List.of(
                Column.number("Group"),
                Column.number("Rows"),
                Column.number("Share of rows"),
                Column.text("Kind"),
                Column.number("Rank"),
                Column.text("Bits"),
                Column.number("Bits a number"),
                Column.number("Bytes a row"),
                Column.number("Bytes left"),
                Column.text("Basis"),
                Column.text("Bits right"),
                Column.number("Bytes right"));
        int[] sizes = matrix.groupSizes();
        Map<Integer, Integer> firstOf = new HashMap<>();
        List<List<String>> rows = new ArrayList<>();
        for (int g = 0; g < sizes.length; g++) {
            GroupPlan plan = matrix.groups().get(g);
            List<String> row = new ArrayList<>();
            row.add(String.valueOf(g));
            row.add(Figures.count(sizes[g]));
            row.add(Figures.percent((double) sizes[g] / matrix.rows()));
            row.add(Figures.kind(plan));
            row.add(plan.isDense() ? "all " + plan.rank() : String.valueOf(plan.rank()));
            row.add(plan.isZero() ? "–" : plan.profile().label());
            row.add(plan.isZero() ? "–" : Figures.mean(Figures.bitsANumber(plan)));
            row.add(plan.isZero() ? "0" : Figures.count(matrix.left(g).rowBytes()));
            row.add(plan.isZero() ? "0" : Figures.count(matrix.left(g).bytes()));
            if (plan.isLowRank()) {
                Integer first = firstOf.putIfAbsent(plan.basis(), g);
                row.add(String.valueOf(plan.basis()));
                row.add(matrix.right(plan.basis()).profile().label());
                row.add(
                        first == null
                                ? Figures.count(matrix.right(plan.basis()).bytes())
                                : "shared with group " + first);
            } else {
                row.addAll(List.of("–", "–", "0"));
            }
            rows.add(row);
        }
        boolean folded = rows.size() > MOST_UNFOLDED;
        if (folded) {
            html.markup("<details>").element("summary", "Table of " + rows.size() + " groups");
        }
        html.table(columns, rows);
        if (folded) {
            html.markup("</details>");
        }
    }

    private String spectraRemark() {
        String remark = result.options().method() == Method.RATE_DISTORTION
                ? "Logarithmic axis down to 1e-12; of the bases before the first round."
                : "Logarithmic axis down to 1e-12; only the directions that were computed.";
        return Charts.isCrowded(result) ? remark + " " + Charts.ORDER : remark;
    }

    private String bytes(StoredBytes stored) {
        return "Left " + Figures.bytes(stored.left()) + ", right " + Figures.bytes(stored.right()) + ", scales "
                + Figures.bytes(stored.scales()) + ", dense rows " + Figures.bytes(stored.dense())
                + (matrix.bias() == null ? ", group numbers and header " : ", group numbers, header and bias ")
                + Figures.bytes(stored.numbers()) + ".";
    }
}
