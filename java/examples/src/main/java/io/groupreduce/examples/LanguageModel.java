package io.groupreduce.examples;

import io.groupreduce.EmbeddingTable;
import io.groupreduce.GroupReduce;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Collectors;

/**
 * What an engine keeps of a model: the compressed embedding table that a token goes in by, the body, the compressed head that a token comes out
 * of, and the words. Any number of threads may use it.
 */
final class LanguageModel implements AutoCloseable {
    private static final int LAYERS = 2;

    private final EmbeddingTable embedding;
    private final SoftmaxHead head;
    private final Transformer body;
    private final List<String> words;
    private final Map<String, Integer> tokens = new HashMap<>();

    private LanguageModel(EmbeddingTable embedding, SoftmaxHead head, List<String> words) {
        this.embedding = embedding;
        this.head = head;
        this.body = Transformer.random(head.hiddenSize(), LAYERS, new SplittableRandom(1));
        this.words = words;
        for (String word : words) {
            tokens.put(word, tokens.size());
        }
    }

    /** Compresses both matrices of a model, once, as {@code groupreduce compress} does. */
    static void compress(Path model, Path counts, CompressionOptions options, Backend backend, Path output) {
        CompressionJob job = CompressionJob.of(model, output).withCounts(counts).withOptions(options);
        GroupReduce.compress(job, backend, Progress.NONE, System.out::println);
    }

    /** Opens a compressed model; a line of {@code counts} for each token begins with its word and a tab. */
    static LanguageModel open(Path compressed, Path counts, HeadOptions options) throws IOException {
        List<String> words = Files.readAllLines(counts).stream()
                .map(line -> line.substring(0, line.indexOf('\t')))
                .toList();
        EmbeddingTable embedding = EmbeddingTable.open(compressed, options);
        try {
            return new LanguageModel(embedding, SoftmaxHead.open(compressed, options), words);
        } catch (Throwable e) {
            embedding.close();
            throw e;
        }
    }

    SoftmaxHead head() {
        return head;
    }

    Transformer body() {
        return body;
    }

    /** Takes one more token into a sequence; its hidden state is written to {@code states[offset .. offset + D)}. */
    void read(int token, Transformer.Cache cache, float[] states, int offset) {
        read(body, token, cache, states, offset);
    }

    /** The same with another body on the same table. */
    void read(Transformer other, int token, Transformer.Cache cache, float[] states, int offset) {
        float[] row = new float[embedding.hiddenSize()];
        embedding.row(token, row, 0);
        other.step(row, cache, states, offset);
    }

    /** After which nothing follows. */
    int endOfText() {
        return token("<eos>");
    }

    int token(String word) {
        return tokens.getOrDefault(word, tokens.get("<unk>"));
    }

    int[] tokens(String text) {
        return Arrays.stream(text.split(" ")).mapToInt(this::token).toArray();
    }

    String word(int token) {
        return words.get(token);
    }

    String text(int... said) {
        return Arrays.stream(said).mapToObj(this::word).collect(Collectors.joining(" "));
    }

    @Override
    public void close() {
        try (embedding) {
            head.close();
        }
    }
}
