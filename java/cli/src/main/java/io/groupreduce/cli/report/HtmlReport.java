package io.groupreduce.cli.report;

import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Evaluation;
import io.groupreduce.cli.report.Html.Column;
import io.groupreduce.format.AtomicFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes the report of a compression as one HTML file that loads nothing: style and charts are in it, and there is no
 * script.
 */
public final class HtmlReport {
    /** Said wherever a compression is judged on what it was fitted to. */
    public static final String FITTED =
            "Perplexity, KL and agreement are measured on the hidden states that the compression was fitted to; judge it"
                    + " with 'groupreduce eval' on others.";

    static final String NO_TARGETS = "There is no perplexity because the hidden states came without targets.";
    static final String NOT_EVALUATED =
            "The softmax was not compared with the dense one; that needs hidden states of the model (--hidden).";

    private final ReportData data;
    private final Html html = new Html();

    private HtmlReport(ReportData data) {
        this.data = data;
    }

    /**
     * Writes the report; {@code target} holds the old file or the whole new one, never a part.
     *
     * @throws io.groupreduce.error.FileAccessException if the file cannot be written
     */
    public static void write(Path target, ReportData data) {
        AtomicFile.writeText(target, render(data));
    }

    /** The page. */
    static String render(ReportData data) {
        HtmlReport report = new HtmlReport(data);
        report.page();
        return report.html.toString();
    }

    private void page() {
        html.begin(data.title());
        heading();
        headlines();
        if (data.results().size() > 1) {
            overview();
        }
        if (!data.comparison().isEmpty()) {
            comparison();
        }
        for (int t = 0; t < data.results().size(); t++) {
            NamedResult named = data.results().get(t);
            new TensorSection(html, "t" + t, named)
                    .write(
                            data.evaluations().get(named.tensor()),
                            data.curves().getOrDefault(named.tensor(), List.of()),
                            data.losses().get(named.tensor()),
                            data.queries().get(named.tensor()));
        }
        html.element(
                "footer",
                "Ratio: bytes of a tensor in the input / bytes of all that replaces it. Count-weighted"
                        + " relative error: the root of the squared error of what is stored over the squared numbers of the"
                        + " matrix, rows weighted by count + 1, the same for every method. Loss: what the method made small,"
                        + " under weights and a metric of its own. Report by GroupReduce.");
        html.end();
    }

    private void heading() {
        html.element("h1", data.title()).markup("<dl>");
        html.element("dt", "Input").element("dd", data.input());
        html.element("dt", "Output").element("dd", data.output());
        html.element("dt", "Device").element("dd", data.device());
        html.element("dt", "Time").element("dd", Figures.duration(data.seconds()));
        html.markup("</dl>");
    }

    private void headlines() {
        if (data.results().isEmpty()) {
            html.paragraph("No tensor was compressed.");
            return;
        }
        long before = 0;
        long after = 0;
        NamedResult worst = data.results().get(0);
        for (NamedResult named : data.results()) {
            before += named.result().sourceBytes();
            after += named.result().bytes();
            worst = named.result().relativeError() > worst.result().relativeError() ? named : worst;
        }
        html.markup("<div class=\"tiles\">");
        html.tile(Figures.bytes(before), "before", Figures.count(before) + " bytes");
        html.tile(Figures.bytes(after), "after", Figures.count(after) + " bytes");
        html.tile(Figures.ratio((double) before / after), "smaller", "");
        html.tile(
                Figures.percent(worst.result().relativeError()),
                "count-weighted relative error",
                of(worst, "largest, of "));
        String note = evaluated();
        html.markup("</div>");
        if (!note.isEmpty()) {
            html.element("p class=\"note\"", note);
        }
    }

    /** Adds the headline figures of the softmax that differs most, and returns what is left to say about them. */
    private String evaluated() {
        NamedResult shown = null;
        for (NamedResult named : data.results()) {
            Evaluation here = data.evaluations().get(named.tensor());
            boolean worse = here != null
                    && (shown == null
                            || here.kl().mean()
                                    > data.evaluations()
                                            .get(shown.tensor())
                                            .kl()
                                            .mean());
            shown = worse ? named : shown;
        }
        if (shown == null) {
            return NOT_EVALUATED;
        }
        Evaluation evaluation = data.evaluations().get(shown.tensor());
        String of = of(shown, "of ");
        if (evaluation.hasPerplexity()) {
            html.tile(Figures.perplexity(evaluation.densePerplexity()), "perplexity before", of);
            html.tile(
                    Figures.perplexity(evaluation.compressedPerplexity()),
                    "perplexity after",
                    Figures.signedPercent(evaluation.perplexityIncrease().mean()));
        }
        html.tile(Figures.nats(evaluation.kl().mean()), "nats of mean KL(dense || compressed)", of);
        html.tile(
                Figures.percent(evaluation.top1().mean()),
                "top-1 agreement",
                "top-10: " + Figures.percent(evaluation.top10().mean()));
        String missing = evaluation.hasPerplexity() ? "" : NO_TARGETS;
        return (data.fittedToHidden() ? FITTED + " " + missing : missing).strip();
    }

    private String of(NamedResult named, String prefix) {
        return data.results().size() > 1 ? prefix + named.tensor() : "";
    }

    private void overview() {
        List<Column> columns = List.of(
                Column.name("Tensor"),
                Column.number("Shape"),
                Column.text("Method"),
                Column.number("Groups"),
                Column.number("Bytes before"),
                Column.number("Bytes after"),
                Column.number("Ratio"),
                Column.number("Coordinates a row"),
                Column.number("Count-weighted relative error"));
        List<List<String>> rows = new ArrayList<>();
        for (NamedResult named : data.results()) {
            CompressionSummary result = named.result();
            rows.add(List.of(
                    named.tensor(),
                    Figures.count(result.rows()) + " × " + Figures.count(result.columns()),
                    result.options().method().label(),
                    String.valueOf(named.matrix().groups().size()),
                    Figures.count(result.sourceBytes()),
                    Figures.count(result.bytes()),
                    Figures.ratio(result.ratio()),
                    Figures.mean(named.matrix().coordinatesPerRow()),
                    Figures.percent(result.relativeError())));
        }
        html.markup("<section>").element("h2", "Tensors").table(columns, rows).markup("</section>");
    }

    private void comparison() {
        List<Column> columns = List.of(
                Column.text("Method"),
                Column.number("Ratio"),
                Column.number("Bytes"),
                Column.number("Coordinates a row"),
                Column.number("Count-weighted relative error"),
                Column.number("Perplexity"),
                Column.number("Change"),
                Column.number("Mean KL, nats"),
                Column.number("Top-1"),
                Column.number("Top-10"));
        List<List<String>> rows = new ArrayList<>();
        for (MethodRow row : data.comparison()) {
            Evaluation evaluation = row.evaluation();
            boolean hasPerplexity = evaluation != null && evaluation.hasPerplexity();
            rows.add(List.of(
                    row.method(),
                    Figures.ratio(row.ratio()),
                    Figures.count(row.bytes()),
                    Figures.mean(row.coordinatesPerRow()),
                    Figures.percent(row.relativeError()),
                    hasPerplexity ? Figures.perplexity(evaluation.compressedPerplexity()) : "–",
                    hasPerplexity
                            ? Figures.signedPercent(
                                    evaluation.perplexityIncrease().mean())
                            : "–",
                    evaluation == null ? "–" : Figures.nats(evaluation.kl().mean()),
                    evaluation == null ? "–" : Figures.percent(evaluation.top1().mean()),
                    evaluation == null
                            ? "–"
                            : Figures.percent(evaluation.top10().mean())));
        }
        html.markup("<section>")
                .element("h2", "Methods compared")
                .table(columns, rows)
                .markup("</section>");
    }
}
