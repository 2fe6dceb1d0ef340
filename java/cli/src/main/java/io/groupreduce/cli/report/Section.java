package io.groupreduce.cli.report;

import java.util.List;

/**
 * A table of what was measured and what has to be said of it, in a page or a model card. Texts are shown as they are, markup in them
 * included.
 *
 * @param columns headings; cells of the first stand at the left, numbers of the others at the right
 * @param rows a cell a column
 * @param notes sentences below the table
 */
public record Section(String title, List<String> columns, List<List<String>> rows, List<String> notes) {
    public Section {
        columns = List.copyOf(columns);
        rows = List.copyOf(rows);
        notes = List.copyOf(notes);
    }
}
