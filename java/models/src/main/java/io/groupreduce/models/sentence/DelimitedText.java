package io.groupreduce.models.sentence;

import io.groupreduce.error.MalformedFileException;
import java.util.ArrayList;
import java.util.List;

/**
 * Records of a text whose fields are separated by commas, as RFC 4180 says: a field may stand in quotes, and then hold separators, line breaks
 * and, doubled, quotes. Where the first line has a tab, tabs separate, and quotes mean nothing.
 */
final class DelimitedText {
    private static final int END = -1;

    /**
     * The fields of a record.
     *
     * @param line where it begins, counted from 1
     */
    record Line(int line, List<String> fields) {}

    private final String label;
    private final String text;
    private final char separator;
    private int at;
    private int line = 1;

    private DelimitedText(String label, String text) {
        this.label = label;
        this.text = text;
        separator = text.lines().findFirst().orElse("").indexOf('\t') < 0 ? ',' : '\t';
    }

    /**
     * The records; empty lines are none.
     *
     * @param label what it is called in messages
     * @throws MalformedFileException if a quote is not closed, or text follows it
     */
    static List<Line> read(String label, String text) {
        DelimitedText reader = new DelimitedText(label, text);
        List<Line> lines = new ArrayList<>();
        while (reader.peek() != END) {
            Line next = new Line(reader.line, reader.record());
            if (!next.fields.equals(List.of(""))) {
                lines.add(next);
            }
        }
        return lines;
    }

    private int peek() {
        return at < text.length() ? text.charAt(at) : END;
    }

    private List<String> record() {
        List<String> fields = new ArrayList<>();
        do {
            fields.add(separator == ',' && peek() == '"' ? quoted() : plain());
        } while (skip(separator));
        skip('\r');
        skip('\n');
        line++;
        return fields;
    }

    private boolean skip(char wanted) {
        boolean is = peek() == wanted;
        at += is ? 1 : 0;
        return is;
    }

    private boolean atEndOfLine() {
        return peek() == END || text.startsWith("\n", at) || text.startsWith("\r\n", at);
    }

    private String plain() {
        int begin = at;
        while (peek() != separator && !atEndOfLine()) {
            at++;
        }
        return text.substring(begin, at);
    }

    private String quoted() {
        int began = line;
        StringBuilder field = new StringBuilder();
        at++;
        while (!skip('"') || peek() == '"') {
            if (peek() == END) {
                throw new MalformedFileException(label + " has a quote in line " + began
                        + " that no other one closes; double it if it belongs to the text.");
            }
            line += peek() == '\n' ? 1 : 0;
            field.append(text.charAt(at++));
        }
        if (peek() != separator && !atEndOfLine()) {
            throw new MalformedFileException(label + " has text behind a closing quote in line " + line
                    + "; double the quotes inside a quoted field.");
        }
        return field.toString();
    }
}
