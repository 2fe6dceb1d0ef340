package io.groupreduce.models.sentence;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Wording;
import io.groupreduce.models.sentence.DelimitedText.Line;
import io.groupreduce.models.text.TextFiles;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * Pairs of sentences with a score that people gave to how alike they are.
 *
 * @param first one sentence of each pair
 * @param second the other one
 * @param scores finite, and not all equal
 * @param columns where they came from, in words
 */
public record SentencePairs(List<String> first, List<String> second, double[] scores, String columns) {
    /** Of fewer pairs a rank correlation says nothing. */
    public static final int FEWEST = 10;

    private static final Pattern NUMBER =
            Pattern.compile("[+-]?(\\d{1,30}(\\.\\d{0,30})?|\\.\\d{1,30})([eE][+-]?\\d{1,2})?");

    /** Headers of public collections of pairs, without what is no letter and no digit. */
    private static final List<List<String>> HEADERS = List.of(
            List.of("score", "similarityscore", "relatednessscore", "goldscore", "similarity", "gold", "label"),
            List.of("sentence1", "sentencea", "text1", "texta", "s1"),
            List.of("sentence2", "sentenceb", "text2", "textb", "s2"));

    /**
     * Reads a file of comma- or tab-separated values in UTF-8, gzip or plain.
     *
     * @param columns names or numbers from 1 of score, first and second sentence; empty to tell them by header or content
     * @throws InvalidDataException if columns are not there or cannot be told, a score is no number, a sentence is empty, or there are too few
     *     pairs or scores
     * @throws io.groupreduce.error.MalformedFileException if quotes do not match
     */
    public static SentencePairs read(Path file, List<String> columns) {
        return new Reader(Wording.file(file), DelimitedText.read(Wording.file(file), text(file)), columns).pairs();
    }

    /** The whole text of a file, gzip or plain. */
    static String text(Path file) {
        StringBuilder text = new StringBuilder();
        try (TextFiles files = TextFiles.open(List.of(file), System.in)) {
            for (TextFiles.Piece piece = files.next(); piece != null; piece = files.next()) {
                text.append(piece.text());
            }
        }
        return text.toString();
    }

    private static final class Reader {
        private final String file;
        private final List<Line> lines;
        private final List<String> wanted;
        private final int width;

        Reader(String file, List<Line> lines, List<String> wanted) {
            this.file = file;
            this.lines = lines;
            this.wanted = wanted;
            width = lines.isEmpty() ? 0 : lines.get(0).fields().size();
        }

        SentencePairs pairs() {
            if (lines.size() < FEWEST) {
                throw few(lines.size());
            }
            List<String> names =
                    lines.get(0).fields().stream().map(SentencePairs::plain).toList();
            int[] columns = !wanted.isEmpty() ? named() : byHeader(names);
            columns = columns == null ? byContent() : columns;
            boolean header = !isNumber(lines.get(0), columns[0]);
            List<Line> body = lines.subList(header ? 1 : 0, lines.size());
            if (body.size() < FEWEST) {
                throw few(body.size());
            }
            List<String> first = new ArrayList<>();
            List<String> second = new ArrayList<>();
            double[] scores = new double[body.size()];
            for (int i = 0; i < scores.length; i++) {
                Line line = body.get(i);
                if (line.fields().size() != width && wanted.isEmpty()) {
                    throw at(
                            line,
                            "has " + line.fields().size() + " columns where line "
                                    + lines.get(0).line() + " has " + width + "; check quotes and separators.");
                }
                if (!isNumber(line, columns[0])) {
                    throw at(
                            line,
                            "has the score " + Wording.quoted(field(line, columns[0]))
                                    + ", which is no number; correct it, or name the columns with --columns.");
                }
                scores[i] = Double.parseDouble(field(line, columns[0]).strip());
                first.add(sentence(line, columns[1]));
                second.add(sentence(line, columns[2]));
            }
            if (Arrays.stream(scores).distinct().count() < 2) {
                throw new InvalidDataException(file + " gives all " + scores.length + " pairs the same score, "
                        + scores[0] + ", so nothing can follow it; name the column of scores with --columns.");
            }
            return new SentencePairs(first, second, scores, described(columns, header));
        }

        private String described(int[] columns, boolean header) {
            String[] words = new String[columns.length];
            Arrays.setAll(words, i -> header ? Wording.quoted(field(lines.get(0), columns[i])) : "" + (columns[i] + 1));
            return "score in column " + words[0] + ", sentences in " + words[1] + " and " + words[2]
                    + (header ? "" : ", no header");
        }

        private InvalidDataException few(int count) {
            return new InvalidDataException(file + " has " + count + (count == 1 ? " pair" : " pairs") + "; a rank"
                    + " correlation says nothing of fewer than " + FEWEST + ".");
        }

        private InvalidDataException at(Line line, String what) {
            return new InvalidDataException(file + ": line " + line.line() + " " + what);
        }

        private String field(Line line, int column) {
            if (column >= line.fields().size()) {
                throw at(
                        line,
                        "has no column " + (column + 1) + ", only "
                                + line.fields().size() + "; check quotes and separators.");
            }
            return line.fields().get(column);
        }

        private String sentence(Line line, int column) {
            String sentence = field(line, column).strip();
            if (sentence.isEmpty()) {
                throw at(line, "has an empty sentence in column " + (column + 1) + "; remove the pair.");
            }
            return sentence;
        }

        private boolean isNumber(Line line, int column) {
            return NUMBER.matcher(field(line, column).strip()).matches();
        }

        /** The columns that a user named. */
        private int[] named() {
            List<String> header = lines.get(0).fields();
            return wanted.stream()
                    .mapToInt(name -> {
                        boolean number = name.matches("[1-9]\\d{0,3}");
                        int column = number ? Integer.parseInt(name) - 1 : header.indexOf(name);
                        if (column < 0 || column >= width) {
                            throw new InvalidDataException(file + " has no column " + Wording.quoted(name)
                                    + "; its first line is " + Wording.some(header)
                                    + ": name one of these, or a number from 1 to " + width + ".");
                        }
                        return column;
                    })
                    .toArray();
        }

        private static int[] byHeader(List<String> names) {
            int[] columns = HEADERS.stream()
                    .mapToInt(known -> known.stream()
                            .mapToInt(names::indexOf)
                            .filter(column -> column >= 0)
                            .findFirst()
                            .orElse(-1))
                    .toArray();
            return Arrays.stream(columns).allMatch(column -> column >= 0) ? columns : null;
        }

        /** The only column with mostly numbers, and the two others. */
        private int[] byContent() {
            IntPredicate numeric = column -> lines.stream()
                            .filter(line -> column < line.fields().size() && isNumber(line, column))
                            .count()
                    > lines.size() / 2;
            int[] numbers = IntStream.range(0, width).filter(numeric).toArray();
            int[] texts = IntStream.range(0, width).filter(numeric.negate()).toArray();
            if (numbers.length != 1 || texts.length != 2) {
                throw new InvalidDataException(file + " has " + width + " columns, " + numbers.length + " of them of"
                        + " numbers, so it is not clear which are the score and the two sentences; name them, as in"
                        + " --columns score,sentence1,sentence2 or --columns 3,1,2.");
            }
            return new int[] {numbers[0], texts[0], texts[1]};
        }
    }

    private static String plain(String name) {
        return name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
    }
}
