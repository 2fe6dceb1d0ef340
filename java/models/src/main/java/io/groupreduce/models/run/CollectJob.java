package io.groupreduce.models.run;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.InputFile;
import io.groupreduce.format.Wording;
import io.groupreduce.models.text.TextFiles;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * What to collect.
 *
 * @param model an ONNX model: one with an output layer, or an encoder
 * @param tokenizer its tokenizer.json
 * @param texts UTF-8, plain or gzip
 * @param output the safetensors file to write
 * @param choice what a user says of the model's matrices
 * @param states the most hidden states, or tokens that a metric is taken of; 0 for the usual number
 * @param length tokens of a sequence, or 0 for what the model takes, or {@value #USUAL_LENGTH}
 * @param threads at least 1
 */
public record CollectJob(
        Path model,
        Path tokenizer,
        List<Path> texts,
        Path output,
        VocabularyChoice choice,
        int states,
        int length,
        int threads) {
    /** Tokens of a sequence where neither the model nor the user says. */
    public static final int USUAL_LENGTH = 256;

    /** Hidden states where the user does not say. */
    public static final int USUAL_STATES = 20_000;

    /** Tokens that a metric is taken of, where the user does not say. */
    public static final int USUAL_TOKENS = 512;

    private static final int MOST_STATES = 10_000_000;
    private static final int LONGEST = 1 << 17;

    public CollectJob {
        texts = List.copyOf(texts);
        if (texts.contains(TextFiles.STANDARD_INPUT)) {
            throw new InvalidOptionException(
                    "The texts are read twice, which standard input (-) cannot be; write it to a file and name that.");
        }
        if (states < 0 || states > MOST_STATES) {
            throw new InvalidOptionException(
                    "--states is " + states + "; it must lie between 1 and " + MOST_STATES + ".");
        }
        if (length < 0 || length > LONGEST) {
            throw new InvalidOptionException("--length is " + length + "; it must lie between 3 and " + LONGEST + ".");
        }
    }

    /** Where what it has so far stands until it is done. */
    Path stateFile() {
        return output.resolveSibling(output.getFileName() + ".part");
    }

    int statesOr(int usual) {
        return states > 0 ? states : usual;
    }

    /** @throws InvalidDataException if a token has no row */
    void requireBelow(long rows, int[] tokens) {
        for (int token : tokens) {
            if (token >= rows) {
                throw new InvalidDataException("The text has the token " + token + ", which the " + rows
                        + " rows of the vocabulary of " + Wording.file(model)
                        + " do not have; take the tokenizer that belongs to the model.");
            }
        }
    }

    /**
     * Of all that a run depends on, with the number of threads left out.
     *
     * @param files that the model is read from
     * @param more what else it depends on
     */
    byte[] digest(List<Path> files, String more) {
        StringBuilder all = new StringBuilder(more);
        Stream.of(files, List.of(tokenizer), texts).flatMap(List::stream).forEach(file -> all.append(' ')
                .append(checksum(file)));
        try {
            return MessageDigest.getInstance("SHA-256").digest(all.toString().getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }

    private static String checksum(Path file) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment content = InputFile.map(file, arena);
            CRC32C sum = new CRC32C();
            for (long at = 0; at < content.byteSize(); at += 1 << 30) {
                sum.update(content.asSlice(at, Math.min(1 << 30, content.byteSize() - at))
                        .asByteBuffer());
            }
            return content.byteSize() + ":" + sum.getValue();
        }
    }
}
