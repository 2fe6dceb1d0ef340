package io.groupreduce.format;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** What a file that was given as counts is instead: by its first bytes, or by the first line that has no count. */
final class CountsHint {
    private static final int SEEN = 400;

    /** How a line is written, and what to do. */
    private record Form(Pattern line, String hint) {}

    private static final List<Form> FORMS = List.of(
            new Form(
                    Pattern.compile("[^\\t]*\\t-\\d*\\.?\\d+([eE][-+]?\\d+)?"),
                    "log-probabilities, as in SentencePiece's .vocab, are no counts: count the tokens of a text"),
            new Form(
                    Pattern.compile("(.*\\t)?[-+]?(\\d+\\.?\\d*|\\.\\d+)([eE][-+]?\\d+)?"),
                    "write a whole number, such as 1000 for 1e3 or 1000.0"),
            new Form(
                    Pattern.compile("[^\\t ]+ +\\d+"),
                    "token and count have a space between them, as in fairseq's dict.txt: write token<TAB>count, and lines"
                            + " for the special tokens that it leaves out"),
            new Form(
                    Pattern.compile("[^\\t]*[,;] *\"?\\d+(\\.\\d+)?\"?"),
                    "the columns are separated by commas: write token<TAB>count"),
            new Form(
                    Pattern.compile("\\s*\\d+[\\t ]+\\S+"),
                    "the count stands before the token, as uniq -c writes it: write token<TAB>count"),
            new Form(
                    Pattern.compile("[\\p{L}_ ]*([,;][\\p{L}_ ]+)+"),
                    "write token<TAB>count in each line, without commas and a heading"),
            new Form(
                    Pattern.compile("[\\p{L}_ ]*(\\t[\\p{L}_ ]+)*"),
                    "write a whole number, and no heading in the first line"));

    private CountsHint() {}

    /** What the whole file is, to follow its name; empty if it may be counts. */
    static Optional<String> otherFormat(Path file, MemorySegment content) {
        String start = text(content, 0, content.byteSize()).strip();
        if (start.startsWith("#version")) {
            return Optional.of("is a tokenizer's merges.txt, which counts nothing; count the tokens of a text");
        }
        if (start.startsWith("{") || start.startsWith("[")) {
            String end = text(content, Math.max(0, content.byteSize() - SEEN), content.byteSize())
                    .strip();
            if (end.endsWith(start.startsWith("{") ? "}" : "]")) {
                return Optional.of(
                        "is JSON, as a tokenizer's vocab.json is; write token<TAB>count, one line for each row");
            }
        }
        if (FileKind.isNumpy(content)) {
            return Optional.of("is a NumPy array; write it as text: numpy.savetxt(FILE, counts, '%d')");
        }
        return FileKind.isPickle(content)
                ? Optional.of("is a Python pickle; write token<TAB>count, one line for each row")
                : FileKind.binary(file, content);
    }

    /** What to do about a line that ends without a count. */
    static String line(MemorySegment content, long from, long to) {
        String line = text(content, from, to).stripTrailing();
        return FORMS.stream()
                .filter(form -> form.line().matcher(line).matches())
                .map(Form::hint)
                .findFirst()
                .orElse("write a whole number");
    }

    private static String text(MemorySegment content, long from, long to) {
        byte[] bytes = content.asSlice(from, Math.min(SEEN, to - from)).toArray(ValueLayout.JAVA_BYTE);
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
