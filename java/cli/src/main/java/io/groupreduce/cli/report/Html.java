package io.groupreduce.cli.report;

import io.groupreduce.error.OneLine;
import java.util.List;

/** Markup under construction. Every text goes through {@link #escape}; only {@link #markup} adds as it is. */
final class Html {
    /**
     * A column of a table.
     *
     * @param title the heading
     * @param style the class of its cells: numbers stand at the right, names may break anywhere
     */
    record Column(String title, String style) {
        static Column text(String title) {
            return new Column(title, "text");
        }

        static Column name(String title) {
            return new Column(title, "name");
        }

        static Column number(String title) {
            return new Column(title, "number");
        }
    }

    private final StringBuilder out = new StringBuilder();

    /** Characters that mean something to HTML become entities; control characters, which it forbids, are spelled out. */
    static String escape(String text) {
        String line = OneLine.of(text);
        StringBuilder escaped = new StringBuilder(line.length() + 16);
        for (int i = 0; i < line.length(); i++) {
            char c = line.charAt(i);
            switch (c) {
                case '&' -> escaped.append("&amp;");
                case '<' -> escaped.append("&lt;");
                case '>' -> escaped.append("&gt;");
                case '"' -> escaped.append("&quot;");
                case '\'' -> escaped.append("&#39;");
                default -> escaped.append(c);
            }
        }
        return escaped.toString();
    }

    /** Begins a page that loads nothing, up to its first heading. */
    Html begin(String title) {
        return markup("<!DOCTYPE html>")
                .markup("<html lang=\"en\">")
                .markup("<head>")
                .markup("<meta charset=\"utf-8\">")
                .markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
                // The browser itself refuses whatever a page that loads nothing has no use for.
                .markup("<meta http-equiv=\"Content-Security-Policy\""
                        + " content=\"default-src 'none'; style-src 'unsafe-inline'\">")
                .element("title", title)
                .markup("<style>\n" + PageStyle.CSS + "</style>")
                .markup("</head>")
                .markup("<body><main>");
    }

    /** Ends the page. */
    Html end() {
        return markup("</main></body>").markup("</html>");
    }

    /** Adds markup as it is. */
    Html markup(String markup) {
        out.append(markup).append('\n');
        return this;
    }

    /** Adds {@code <tag>text</tag>}, the text escaped; {@code tag} may carry attributes. */
    Html element(String tag, String text) {
        int end = tag.indexOf(' ');
        String name = end < 0 ? tag : tag.substring(0, end);
        out.append('<').append(tag).append('>').append(escape(text));
        out.append("</").append(name).append(">\n");
        return this;
    }

    /** Adds a paragraph. */
    Html paragraph(String text) {
        return element("p", text);
    }

    /** Adds a headline figure: a large value over what it is, and a smaller remark, which may be empty. */
    Html tile(String value, String label, String remark) {
        markup("<div class=\"tile\">");
        element("div class=\"value\"", value);
        element("div class=\"label\"", label);
        if (!remark.isEmpty()) {
            element("div class=\"remark\"", remark);
        }
        return markup("</div>");
    }

    /** Adds a figure: a drawing, or a sentence that says why there is none. */
    Html figure(String caption, Drawing drawing, String remark) {
        markup("<figure>");
        element("figcaption", caption);
        if (!drawing.svg().isEmpty()) {
            markup(drawing.svg());
        }
        if (!drawing.remark().isEmpty()) {
            element("p class=\"missing\"", drawing.remark());
        }
        if (!remark.isEmpty()) {
            element("p class=\"remark\"", remark);
        }
        return markup("</figure>");
    }

    /** Adds a table; every row has a cell a column. */
    Html table(List<Column> columns, List<List<String>> rows) {
        markup("<div class=\"scroll\"><table>");
        out.append("<thead><tr>");
        for (Column column : columns) {
            element("th class=\"" + column.style() + '"', column.title());
        }
        out.append("</tr></thead>\n<tbody>\n");
        for (List<String> row : rows) {
            out.append("<tr>");
            for (int c = 0; c < columns.size(); c++) {
                element("td class=\"" + columns.get(c).style() + '"', row.get(c));
            }
            out.append("</tr>\n");
        }
        return markup("</tbody></table></div>");
    }

    @Override
    public String toString() {
        return out.toString();
    }
}
