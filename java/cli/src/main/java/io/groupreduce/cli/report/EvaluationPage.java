package io.groupreduce.cli.report;

import io.groupreduce.cli.report.Html.Column;
import io.groupreduce.format.AtomicFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Writes what an evaluation found as one HTML file that loads nothing, in the style of {@link HtmlReport}. */
public final class EvaluationPage {
    private EvaluationPage() {}

    /**
     * Writes the page; {@code target} holds the old file or the whole new one, never a part.
     *
     * @throws io.groupreduce.error.FileAccessException if the file cannot be written
     */
    public static void write(Path target, EvaluatedModel model) {
        AtomicFile.writeText(target, render(model));
    }

    static String render(EvaluatedModel model) {
        String title = "GroupReduce: " + model.fileName();
        Html html = new Html().begin(title).element("h1", title).markup("<dl>");
        html.element("dt", "Compressed").element("dd", model.file());
        html.element("dt", "Original").element("dd", model.reference()).markup("</dl>");
        for (Section section : model.sections()) {
            List<Column> columns = new ArrayList<>();
            for (String heading : section.columns()) {
                columns.add(columns.isEmpty() ? Column.name(heading) : Column.number(heading));
            }
            html.markup("<section>").element("h2", section.title()).table(columns, section.rows());
            section.notes().forEach(note -> html.element("p class=\"note\"", note));
            html.markup("</section>");
        }
        html.element("footer", String.join(" ", model.limits()) + " Report by GroupReduce.");
        return html.end().toString();
    }
}
