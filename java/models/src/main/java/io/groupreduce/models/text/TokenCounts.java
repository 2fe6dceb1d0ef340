package io.groupreduce.models.text;

import io.groupreduce.api.Progress;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.AtomicFile;
import java.io.BufferedWriter;
import java.io.Writer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReference;

/**
 * How often each token of a tokenizer occurs in texts, as a model would see them.
 *
 * <p>What a text is depends on the tokenizer. One that closes its texts, as those of encoders do ([CLS] ... [SEP]), gets each line that is not
 * blank. One that does not, as those of models that write on, gets a file as one text, line ends and all, opened once if it opens texts. Large
 * files are cut behind a line every {@value TextFiles#PIECE} bytes, so a token that would reach over such a cut counts as its parts.
 */
public final class TokenCounts {
    private final long[] counts;
    private final boolean lines;
    private long texts;

    private TokenCounts(int size, boolean lines) {
        counts = new long[size];
        this.lines = lines;
    }

    /**
     * Reads all texts; the result does not depend on the number of threads.
     *
     * @param threads at least 1
     * @throws InvalidDataException if a text is no text, has a part without a token, or all texts together have no token
     */
    public static TokenCounts of(Tokenizer tokenizer, TextFiles files, int threads, Progress progress) {
        TokenCounts all = new TokenCounts(tokenizer.size(), tokenizer.closesTexts());
        AtomicReference<Throwable> failure = new AtomicReference<>();
        Thread[] workers = new Thread[threads];
        for (int t = 0; t < threads; t++) {
            workers[t] = Thread.ofPlatform()
                    .daemon()
                    .name("groupreduce-count-" + t)
                    .start(() -> {
                        try {
                            TokenCounts own = new TokenCounts(tokenizer.size(), all.lines);
                            for (TextFiles.Piece piece = next(files, progress);
                                    piece != null && failure.get() == null;
                                    piece = next(files, progress)) {
                                own.add(tokenizer, piece);
                            }
                            all.add(own);
                        } catch (Throwable e) {
                            failure.compareAndSet(null, e);
                        }
                    });
        }
        join(workers, failure);
        if (all.tokens() == 0) {
            throw new InvalidDataException("There is no token in all these texts; give more than blanks.");
        }
        return all;
    }

    private static TextFiles.Piece next(TextFiles files, Progress progress) {
        synchronized (files) {
            TextFiles.Piece piece = files.next();
            progress.at("reading", files.fraction());
            return piece;
        }
    }

    private static void join(Thread[] workers, AtomicReference<Throwable> failure) {
        for (Thread worker : workers) {
            try {
                worker.join();
            } catch (InterruptedException e) {
                failure.compareAndSet(null, new IllegalStateException("counting was interrupted", e));
                Thread.currentThread().interrupt();
            }
        }
        if (failure.get() instanceof Error e) {
            throw e;
        }
        if (failure.get() instanceof RuntimeException e) {
            throw e;
        }
    }

    private void add(Tokenizer tokenizer, TextFiles.Piece piece) {
        if (lines) {
            piece.text()
                    .lines()
                    .filter(line -> !line.isBlank())
                    .forEach(line -> add(tokenizer.encode(line, true), true));
        } else {
            add(tokenizer.encode(piece.text(), piece.first()), piece.first());
        }
    }

    private void add(int[] tokens, boolean begins) {
        for (int token : tokens) {
            counts[token]++;
        }
        texts += begins ? 1 : 0;
    }

    private synchronized void add(TokenCounts others) {
        for (int token = 0; token < counts.length; token++) {
            counts[token] += others.counts[token];
        }
        texts += others.texts;
    }

    /** A count for each id of the tokenizer, 0 too for ids that belong to no token. */
    public long[] counts() {
        return counts.clone();
    }

    /** Whether lines were texts, and not whole files. */
    public boolean areLinesTexts() {
        return lines;
    }

    /** How many texts there were. */
    public long texts() {
        return texts;
    }

    /** The sum of all counts. */
    public long tokens() {
        return Arrays.stream(counts).sum();
    }

    /** How many tokens occur. */
    public long distinct() {
        return Arrays.stream(counts).filter(count -> count > 0).count();
    }

    /**
     * Writes {@code token<TAB>count}, one line for each id in their order. In a token, {@code \\}, {@code \n}, {@code \r} and {@code \t} stand
     * for a backslash, a line feed, a carriage return and a TAB; an id without a token has an empty one.
     */
    public void write(Path file, Tokenizer tokenizer) {
        AtomicFile.write(file, channel -> {
            Writer out = new BufferedWriter(Channels.newWriter(channel, StandardCharsets.UTF_8));
            for (int id = 0; id < counts.length; id++) {
                out.write(escaped(tokenizer.token(id)) + "\t" + counts[id] + "\n");
            }
            out.flush();
        });
    }

    private static String escaped(String token) {
        return token == null
                ? ""
                : token.replace("\\", "\\\\")
                        .replace("\n", "\\n")
                        .replace("\r", "\\r")
                        .replace("\t", "\\t");
    }
}
