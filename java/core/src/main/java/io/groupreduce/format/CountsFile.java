package io.groupreduce.format;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.function.Consumer;
import java.util.stream.LongStream;

/**
 * Reads how often each token occurs: one line a token in vocabulary order, a count or {@code token<TAB>count}.
 *
 * <p>A line ends at LF or CR LF and nowhere else, and the count follows its last TAB, since a token may be empty or hold
 * spaces, a lone CR, or a TAB itself. The token is not looked at.
 */
public final class CountsFile {
    private static final byte[] BYTE_ORDER_MARK = {(byte) 0xef, (byte) 0xbb, (byte) 0xbf};
    /** The guessed count of the first row: the last one of a billion rows counts 1,000 still. */
    private static final long MOST_FREQUENT = 1_000_000_000_000L;
    /** What a message shows of a count that is none. */
    private static final int SHOWN = 40;

    private CountsFile() {}

    /**
     * The counts of all tokens. A file may have fewer lines than the matrix has rows, since vocabularies are padded: those at the end
     * count 0.
     *
     * @param rows N, the rows of the matrix
     * @return N counts, each 0 or more, with a sum below 2^63
     * @throws FileAccessException if the file is missing or unreadable
     * @throws InvalidDataException if there is no line or more than {@code rows}, one has no count that can be used, or lines with a number
     *     for each token stand in another order than rows
     */
    public static long[] read(Path file, int rows) {
        return read(file, rows, sentence -> {});
    }

    /**
     * As {@link #read(Path, int)}; {@code tell} hears how many rows at the end count 0, if any, and that counts are guessed where
     * {@code file} is {@link CompressionJob#ZIPF}.
     */
    public static long[] read(Path file, int rows, Consumer<String> tell) {
        if (file.equals(CompressionJob.ZIPF)) {
            tell.accept(
                    "Counts are guessed: row i counts as 1 / (i + 1), which fits a vocabulary in order of frequency or of first"
                            + " appearance and no other; 'groupreduce count' gets real ones from text.");
            return LongStream.rangeClosed(1, rows)
                    .map(rank -> MOST_FREQUENT / rank)
                    .toArray();
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = InputFile.map(file, arena);
            long[] counts;
            try {
                counts = parse(file, text, rows);
            } catch (InvalidDataException e) {
                throw CountsHint.otherFormat(file, text)
                        .map(what -> new InvalidDataException(Wording.file(file) + " " + what + ".", e))
                        .orElse(e);
            }
            if (counts.length < rows) {
                tell.accept(Wording.file(file) + " has " + counts.length + " lines for the " + rows
                        + " rows of a matrix; the last " + (rows - counts.length) + " rows count 0.");
            }
            return Arrays.copyOf(counts, rows);
        }
    }

    private static long[] parse(Path file, MemorySegment text, int rows) {
        long size = text.byteSize();
        long[] counts = new long[(int) Math.min(rows, size)];
        NumberedLines numbered = new NumberedLines(rows);
        long lines = 0;
        long total = 0;
        long lastLine = 0;
        for (long from = textStart(text); from < size; lines++) {
            lastLine = from;
            long to = from;
            long countFrom = from;
            for (; to < size && text.get(ValueLayout.JAVA_BYTE, to) != '\n'; to++) {
                if (text.get(ValueLayout.JAVA_BYTE, to) == '\t') {
                    countFrom = to + 1;
                }
            }
            if (lines < rows) {
                numbered.add(text, from, countFrom);
                long count = count(file, lines + 1, text, from, countFrom, to);
                total += count;
                if (total < 0) {
                    throw invalid(
                            file, lines + 1, "makes the sum of all counts exceed 2^63 - 1; scale the counts down");
                }
                counts[(int) lines] = count;
            }
            from = to + 1;
        }
        if (numbered.outOfOrder(lines)) {
            throw new InvalidDataException(
                    Wording.file(file) + " numbers its tokens, but not in the order of the " + rows
                            + " rows; sort its lines by that number and give one for each row, 0 for a token that never occurs.");
        }
        if (lines == rows + 1L && isBlankLine(text, lastLine)) {
            throw new InvalidDataException(Wording.file(file) + " ends with an empty line; remove it.");
        }
        if (lines == 0 || lines > rows) {
            throw new InvalidDataException(Wording.file(file) + " has " + lines + " lines but the matrix has " + rows
                    + " rows; give one count for each row, in vocabulary order, and matrices of different sizes a file each"
                    + " (TENSOR=FILE).");
        }
        return Arrays.copyOf(counts, (int) lines);
    }

    /**
     * Whether all lines so far begin with a row's number, each with another: a list of ids and counts, whose order may be that of the
     * counts. Numbers that are words of a vocabulary seldom are all different and below N.
     */
    private static final class NumberedLines {
        private final int rows;
        private final BitSet seen = new BitSet();
        private boolean all = true;
        private boolean rising = true;
        private long first;

        private NumberedLines(int rows) {
            this.rows = rows;
        }

        /** The line at {@code from}, whose count starts at {@code countFrom} behind a TAB. */
        void add(MemorySegment text, long from, long countFrom) {
            long number = 0;
            long at = from;
            for (; all && at < countFrom && number <= rows; at++) {
                int digit = text.get(ValueLayout.JAVA_BYTE, at) - '0';
                if (digit == '\t' - '0') {
                    break; // A word may stand between the number and the count.
                }
                number = digit >= 0 && digit <= 9 ? 10 * number + digit : Long.MAX_VALUE;
            }
            all = all && at > from && number <= rows && !seen.get((int) number);
            if (all) {
                first = seen.isEmpty() ? number : first;
                rising = rising && number == first + seen.cardinality();
                seen.set((int) number);
            }
        }

        boolean outOfOrder(long lines) {
            boolean fromZero = rising && first == 0;
            boolean fromOne = rising && first == 1 && lines == rows;
            return all && lines > 1 && !fromZero && !fromOne;
        }
    }

    private static long textStart(MemorySegment text) {
        int n = BYTE_ORDER_MARK.length;
        boolean marked =
                text.byteSize() >= n && text.asSlice(0, n).mismatch(MemorySegment.ofArray(BYTE_ORDER_MARK)) < 0;
        return marked ? n : 0;
    }

    /** The count in bytes {@code countFrom} to {@code lineTo}, spaces and a final CR aside. */
    private static long count(Path file, long line, MemorySegment text, long lineFrom, long countFrom, long lineTo) {
        long from = countFrom;
        long to = lineTo;
        while (to > from && isBlank(text.get(ValueLayout.JAVA_BYTE, to - 1))) {
            to--;
        }
        while (from < to && isBlank(text.get(ValueLayout.JAVA_BYTE, from))) {
            from++;
        }
        if (from == to) {
            throw invalid(file, line, "has no count; write a whole number, 0 for a token that never occurs");
        }
        boolean negative = text.get(ValueLayout.JAVA_BYTE, from) == '-' && to - from > 1;
        long count = 0;
        for (long at = negative ? from + 1 : from; at < to; at++) {
            int digit = text.get(ValueLayout.JAVA_BYTE, at) - '0';
            if (digit < 0 || digit > 9) {
                throw invalid(
                        file,
                        line,
                        "has " + shown(text, from, to) + " where a count should be; "
                                + CountsHint.line(text, lineFrom, lineTo));
            }
            if (count > (Long.MAX_VALUE - digit) / 10) {
                throw invalid(file, line, "has a count beyond 2^63 - 1; scale the counts down");
            }
            count = 10 * count + digit;
        }
        if (negative && count > 0) {
            throw invalid(file, line, "has the negative count -" + count + "; counts are 0 or more");
        }
        return count;
    }

    private static boolean isBlankLine(MemorySegment text, long from) {
        byte first = text.get(ValueLayout.JAVA_BYTE, from);
        return first == '\n' || first == '\r';
    }

    private static boolean isBlank(byte b) {
        return b == ' ' || b == '\r';
    }

    private static String shown(MemorySegment text, long from, long to) {
        byte[] bytes = text.asSlice(from, Math.min(SHOWN, to - from)).toArray(ValueLayout.JAVA_BYTE);
        return Wording.quoted(new String(bytes, StandardCharsets.UTF_8));
    }

    private static InvalidDataException invalid(Path file, long line, String what) {
        return new InvalidDataException(Wording.file(file) + ", line " + line + ", " + what + ".");
    }
}
