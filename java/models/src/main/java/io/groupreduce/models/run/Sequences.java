package io.groupreduce.models.run;

import io.groupreduce.api.Progress;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.models.text.TextFiles;
import io.groupreduce.models.text.Tokenizer;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Texts as one stream of tokens, cut into sequences of one length, each between the tokens that the tokenizer puts around a text. Texts are
 * read twice: to learn how long the stream is, and for the sequences that are wanted; neither keeps them in memory.
 */
final class Sequences {
    /** Hears of the sequences one after the other. */
    interface Reader {
        /** @param tokens the whole sequence; the reader may change it */
        void read(int index, int[] tokens);
    }

    private final Tokenizer tokenizer;
    private final List<Path> texts;
    private final boolean lines;
    private int[] before = {};
    private int[] behind = {};
    private int[] pieces = new int[64];
    private int pieceCount;
    private long tokens;
    private int content;

    /**
     * Reads all texts to count their tokens.
     *
     * @param length of a sequence, tokens around the text included; a text that is shorter is one sequence
     * @param threads at least 1; they make no difference to what comes out
     * @throws InvalidDataException if a text is no text, or there is too little for a sequence
     */
    Sequences(Tokenizer tokenizer, List<Path> texts, int length, int threads, Progress progress) {
        this.tokenizer = tokenizer;
        this.texts = texts;
        lines = tokenizer.closesTexts();
        findSurroundings();
        int room = length - before.length - behind.length;
        if (room < 2) {
            throw new InvalidDataException("Sequences of " + length + " tokens leave no room for text between the "
                    + (before.length + behind.length) + " that the tokenizer puts around it; make --length larger.");
        }
        try (TextFiles files = open()) {
            IntStream.range(0, threads).parallel().forEach(t -> {
                for (Numbered piece = next(files, progress); piece != null; piece = next(files, progress)) {
                    int size = encode(piece.text).length;
                    synchronized (this) {
                        pieces[piece.index] = size;
                        tokens += size;
                    }
                }
            });
        }
        if (tokens < 2) {
            throw new InvalidDataException("There is no text of two tokens or more in "
                    + (texts.size() == 1 ? texts.getFirst() : "all " + texts.size() + " files")
                    + "; give more than blanks.");
        }
        content = (int) Math.min(room, tokens);
    }

    /** A piece of text and its place among all. */
    private record Numbered(String text, int index) {}

    private TextFiles open() {
        return TextFiles.open(texts, InputStream.nullInputStream());
    }

    private synchronized Numbered next(TextFiles files, Progress progress) {
        TextFiles.Piece piece = files.next();
        progress.at("reading text", files.fraction());
        if (piece == null) {
            return null;
        }
        if (pieceCount == pieces.length) {
            pieces = Arrays.copyOf(pieces, 2 * pieceCount);
        }
        return new Numbered(piece.text(), pieceCount++);
    }

    private int[] encode(String text) {
        return lines
                ? text.lines()
                        .filter(line -> !line.isBlank())
                        .flatMapToInt(line -> Arrays.stream(tokenizer.encode(line, false)))
                        .toArray()
                : tokenizer.encode(text, false);
    }

    private void findSurroundings() {
        for (int id = 0; id < tokenizer.size(); id++) {
            boolean usual = tokenizer.token(id) != null && !tokenizer.isSpecial(id);
            List<Integer> plain = usual ? list(tokenizer.encode(tokenizer.token(id), false)) : List.of();
            if (!plain.isEmpty()) {
                int[] dressed = tokenizer.encode(tokenizer.token(id), true);
                int at = Math.max(0, Collections.indexOfSubList(list(dressed), plain));
                before = Arrays.copyOf(dressed, at);
                behind = Arrays.copyOfRange(dressed, at + plain.size(), dressed.length);
                return;
            }
        }
    }

    private static List<Integer> list(int[] tokens) {
        return Arrays.stream(tokens).boxed().toList();
    }

    /** Tokens of all texts. */
    long tokens() {
        return tokens;
    }

    /** How many sequences the texts fill. */
    long count() {
        return tokens / content;
    }

    /** Tokens of text in each sequence. */
    int content() {
        return content;
    }

    /** Where in a sequence the text begins. */
    int start() {
        return before.length;
    }

    /** Tokens of a sequence. */
    int length() {
        return before.length + content + behind.length;
    }

    /**
     * Reads sequences in their order, evenly spaced over all texts.
     *
     * @param wanted how many, at most {@link #count}
     * @param first the index of the first that the reader hears of, below {@code wanted}
     */
    void forEach(int wanted, int first, Reader reader) {
        int[] sequence = Arrays.copyOf(before, length());
        System.arraycopy(behind, 0, sequence, before.length + content, behind.length);
        int index = first;
        long at = 0;
        try (TextFiles files = open()) {
            for (int p = 0; index < wanted; p++) {
                TextFiles.Piece piece = files.next();
                if (piece == null || p == pieceCount) {
                    throw changed();
                }
                long end = at + pieces[p];
                int[] within = null;
                while (index < wanted && place(index, wanted) < end) {
                    within = within == null ? encode(piece.text()) : within;
                    long start = place(index, wanted);
                    int from = (int) Math.max(0, start - at);
                    int to = (int) Math.min(pieces[p], start + content - at);
                    if (within.length != pieces[p]) {
                        throw changed();
                    }
                    System.arraycopy(within, from, sequence, before.length + (int) (at + from - start), to - from);
                    if (start + content > end) {
                        break; // The rest stands in the next piece.
                    }
                    reader.read(index++, sequence.clone());
                }
                at = end;
            }
        }
    }

    private static InvalidDataException changed() {
        return new InvalidDataException(
                "A text changed while it was read; leave the files alone until the run is over.");
    }

    /** Where in the stream a sequence begins: in the middle of its share of the texts. */
    private long place(int index, int wanted) {
        return (2L * index + 1) * count() / (2L * wanted) * content;
    }
}
