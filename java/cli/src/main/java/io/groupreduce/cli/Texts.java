package io.groupreduce.cli;

import io.groupreduce.cli.report.Figures;
import io.groupreduce.error.OneLine;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Lines and tables for people. */
final class Texts {
    /** A longer name, which only a crafted file has, would pad every line of its table. */
    private static final int LONGEST_NAME = 200;

    private static final Pattern CONVERSION = Pattern.compile("%(?:%|[-#+ 0,(]*\\d*(?:\\.\\d+)?[a-zA-Z])");

    private Texts() {}

    /** As {@link String#format}, for a pattern that takes its values in order; numbers that are none are said not to be finite. */
    static String format(String pattern, Object... values) {
        Iterator<Object> arguments = Arrays.asList(values).iterator();
        return CONVERSION.matcher(pattern).replaceAll(conversion -> {
            boolean literal = conversion.group().equals("%%");
            Object value = literal ? "%" : arguments.next();
            boolean finite = !(value instanceof Double number) || Double.isFinite(number);
            String text =
                    literal ? "%" : finite ? String.format(Locale.ROOT, conversion.group(), value) : Figures.NOT_FINITE;
            return Matcher.quoteReplacement(text);
        });
    }

    /** Columns as wide as their longest cell: the first to the left, the others, numbers, to the right. */
    static List<String> table(List<List<String>> rows) {
        return table(rows, false);
    }

    /** Columns as wide as their longest cell, all to the left. */
    static List<String> leftTable(List<List<String>> rows) {
        return table(rows, true);
    }

    /** A row whose cells are as wide as they look: no line break, nothing that a terminal obeys. */
    private static List<String> printable(List<String> row) {
        List<String> cells = new ArrayList<>();
        for (String cell : row) {
            String line = OneLine.of(cell);
            boolean cut = cells.isEmpty() && line.length() > LONGEST_NAME;
            cells.add(cut ? line.substring(0, LONGEST_NAME) + "..." : line);
        }
        return cells;
    }

    private static List<String> table(List<List<String>> given, boolean allLeft) {
        List<List<String>> rows = given.stream().map(Texts::printable).toList();
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
