package io.groupreduce.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Lines and tables for people. */
final class Texts {
    private Texts() {}

    static String format(String pattern, Object... values) {
        return String.format(Locale.ROOT, pattern, values);
    }

    /** Columns as wide as their longest cell: the first to the left, the others, numbers, to the right. */
    static List<String> table(List<List<String>> rows) {
        return table(rows, false);
    }

    /** Columns as wide as their longest cell, all to the left. */
    static List<String> leftTable(List<List<String>> rows) {
        return table(rows, true);
    }

    private static List<String> table(List<List<String>> rows, boolean allLeft) {
        int columns = rows.get(0).size();
        int[] widths = new int[columns];
        for (List<String> row : rows) {
            for (int c = 0; c < columns; c++) {
                widths[c] = Math.max(widths[c], row.get(c).length());
            }
        }
        List<String> lines = new ArrayList<>();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int c = 0; c < columns; c++) {
                String pad = " ".repeat(widths[c] - row.get(c).length());
                line.append(c == 0 ? "" : "  ").append(c == 0 || allLeft ? row.get(c) + pad : pad + row.get(c));
            }
            lines.add(line.toString().stripTrailing());
        }
        return lines;
    }
}
