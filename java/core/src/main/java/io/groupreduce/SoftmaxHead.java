package io.groupreduce;

import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.RankedTokens;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.internal.check.FactorCheck;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.InferenceProblem;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * The softmax of a compressed output matrix: for a batch of B hidden states h of D numbers, answers from the logits A^ h + bias of
 * all N tokens, which it does not write down. Where a query names no result array, it returns a new one.
 *
 * <p>Hidden states are B x D, row-major: a {@code float[]}, whose length gives B and which is not copied, or a {@link MemorySegment}
 * of floats in the machine's byte order at any address, in or outside the heap, which is. Given arrays may be longer than needed.
 *
 * <p>Any number of threads may ask at once. Beyond its result a query allocates nothing in steady state that grows with B, N or D, as
 * long as at most 16 run at once and each copies or scores less than a million numbers; with several worker threads it makes a few
 * small objects. Every query throws {@link InvalidDataException} for a width other
 * than D, for a hidden state that is not finite, or for a result that is not; and {@link ClosedHeadException} after {@link #close}.
 * The head stays usable after all of these but the last.
 *
 * <p>Ownership: {@link #close} waits for running queries, then closes what the head made: its session, the file it opened, the backend it
 * chose. A backend or a matrix that was given stays the caller's, who closes the head first, then the backend, then the memory of
 * the matrix.
 */
public final class SoftmaxHead implements AutoCloseable {
    private static final String KIND = "softmax head";

    private final LoadedMatrix loaded;
    private final SoftmaxQueries queries;

    private SoftmaxHead(LoadedMatrix loaded) {
        this.loaded = loaded;
        this.queries = new SoftmaxQueries(loaded);
    }

    /** Opens a compressed file with {@link HeadOptions#defaults}; see {@link #open(Path, HeadOptions)}. */
    public static SoftmaxHead open(Path file) {
        return open(file, HeadOptions.defaults());
    }

    /**
     * Maps and checks a compressed file, chooses a backend and loads the matrix. Nothing is copied, but numbers are read once, to
     * find NaN and infinity. The first query lays the codes out for the kernels, in memory of about the file's size; queries after
     * it find them there.
     *
     * @throws FileAccessException if the file is missing or unreadable
     * @throws MalformedFileException if it is not a well-formed compressed file
     * @throws InvalidDataException if it is of a newer version, has not exactly one candidate for the matrix, or a factor or the bias
     *     holds NaN or infinity
     * @throws InvalidOptionException if the device is unknown
     * @throws DeviceException if the device cannot run
     */
    public static SoftmaxHead open(Path file, HeadOptions options) {
        return new SoftmaxHead(LoadedMatrix.open(KIND, file, null, options, opened -> problem(opened, options)));
    }

    /** The same on a backend that stays the caller's and that several heads may share. */
    public static SoftmaxHead open(Path file, Backend backend, HeadOptions options) {
        return new SoftmaxHead(LoadedMatrix.open(KIND, file, backend, options, opened -> problem(opened, options)));
    }

    /**
     * A head on a matrix that stays the caller's.
     *
     * @param bias the model's, length N, or {@code null}: added to the logits where neither the options nor the matrix have one
     * @throws InvalidDataException if the length of a bias is not N, or a factor or the bias holds NaN or infinity
     */
    public static SoftmaxHead of(Backend backend, CompressedMatrix matrix, float[] bias, HeadOptions options) {
        float[] model = matrix.bias() == null ? bias : matrix.bias();
        return new SoftmaxHead(LoadedMatrix.of(KIND, backend, problem(matrix, model, options)));
    }

    private static InferenceProblem problem(CompressedFile file, HeadOptions options) {
        CompressedMatrix matrix = LoadedMatrix.choose(file, options, file::outputMatrix);
        return problem(
                matrix, file.softmaxBias(options.tensor().orElse(matrix.name())).orElse(null), options);
    }

    private static InferenceProblem problem(CompressedMatrix matrix, float[] model, HeadOptions options) {
        float[] bias = options.bias().orElse(model);
        FactorCheck.requireFinite(matrix, bias);
        return new InferenceProblem(matrix, bias, options.pruning(), options.logSumExpTolerance());
    }

    /** N: tokens are 0 to N - 1. */
    public int vocabularySize() {
        return loaded.matrix().rows();
    }

    /** D: the width of a hidden state. */
    public int hiddenSize() {
        return loaded.matrix().columns();
    }

    /** The name of the compressed tensor. */
    public String name() {
        return loaded.matrix().name();
    }

    /** What answers, in one line: the backend, its instruction set or card, its threads. */
    public String device() {
        return loaded.device();
    }

    /** The likeliest token of each hidden state, ties to the lower token. */
    public int[] greedy(float[] hidden) {
        try (Query query = ask(hidden)) {
            return queries.greedy(query, new int[query.states()]);
        }
    }

    /** The likeliest token of each hidden state, ties to the lower token. */
    public int[] greedy(MemorySegment hidden) {
        try (Query query = ask(hidden)) {
            return queries.greedy(query, new int[query.states()]);
        }
    }

    /** Writes the likeliest token of each hidden state, B of them. */
    public void greedy(float[] hidden, int[] tokens) {
        try (Query query = ask(hidden)) {
            queries.greedy(query, tokens);
        }
    }

    /** Writes the likeliest token of each hidden state, B of them. */
    public void greedy(MemorySegment hidden, int[] tokens) {
        try (Query query = ask(hidden)) {
            queries.greedy(query, tokens);
        }
    }

    /**
     * The k likeliest tokens with logits and log-probabilities.
     *
     * @throws InvalidOptionException if k is not from 1 to N
     */
    public RankedTokens topK(float[] hidden, int k) {
        try (Query query = ask(hidden)) {
            return queries.top(query, RankedTokens.of(query.states(), queries.requireRank(k)));
        }
    }

    /**
     * The k likeliest tokens with logits and log-probabilities.
     *
     * @throws InvalidOptionException if k is not from 1 to N
     */
    public RankedTokens topK(MemorySegment hidden, int k) {
        try (Query query = ask(hidden)) {
            return queries.top(query, RankedTokens.of(query.states(), queries.requireRank(k)));
        }
    }

    /**
     * The k tokens of largest logit, without log-probabilities: less work, because tokens that cannot be among them need not be
     * scored.
     *
     * @throws InvalidOptionException if k is not from 1 to N
     */
    public RankedTokens topLogits(float[] hidden, int k) {
        try (Query query = ask(hidden)) {
            return queries.top(query, RankedTokens.ofLogits(query.states(), queries.requireRank(k)));
        }
    }

    /**
     * The k tokens of largest logit, without log-probabilities: less work, because tokens that cannot be among them need not be
     * scored.
     *
     * @throws InvalidOptionException if k is not from 1 to N
     */
    public RankedTokens topLogits(MemorySegment hidden, int k) {
        try (Query query = ask(hidden)) {
            return queries.top(query, RankedTokens.ofLogits(query.states(), queries.requireRank(k)));
        }
    }

    /**
     * Overwrites {@code target} with its k likeliest tokens, and with what else it has room for.
     *
     * @throws InvalidOptionException if its k is not from 1 to N
     * @throws InvalidDataException if it is for another number of hidden states
     */
    public void top(float[] hidden, RankedTokens target) {
        try (Query query = ask(hidden)) {
            queries.top(query, target);
        }
    }

    /** The same for hidden states in a segment. */
    public void top(MemorySegment hidden, RankedTokens target) {
        try (Query query = ask(hidden)) {
            queries.top(query, target);
        }
    }

    /**
     * The natural logarithm of the probability of one given token for each hidden state: what perplexity is made of.
     *
     * @param tokens B of them
     */
    public float[] logProbabilities(float[] hidden, int[] tokens) {
        try (Query query = ask(hidden)) {
            return queries.logProbabilities(query, tokens, new float[query.states()]);
        }
    }

    /** The same for hidden states in a segment. */
    public float[] logProbabilities(MemorySegment hidden, int[] tokens) {
        try (Query query = ask(hidden)) {
            return queries.logProbabilities(query, tokens, new float[query.states()]);
        }
    }

    /** Writes the log-probability of one given token for each hidden state, B of them. */
    public void logProbabilities(float[] hidden, int[] tokens, float[] target) {
        try (Query query = ask(hidden)) {
            queries.logProbabilities(query, tokens, target);
        }
    }

    /** The same for hidden states in a segment. */
    public void logProbabilities(MemorySegment hidden, int[] tokens, float[] target) {
        try (Query query = ask(hidden)) {
            queries.logProbabilities(query, tokens, target);
        }
    }

    /** Draws one token for each hidden state; the same seed and batch draw the same tokens on every backend. */
    public int[] sample(float[] hidden, Sampling sampling, long seed) {
        try (Query query = ask(hidden)) {
            return queries.sample(query, sampling, seed, new int[query.states()]);
        }
    }

    /** Draws one token for each hidden state; the same seed and batch draw the same tokens on every backend. */
    public int[] sample(MemorySegment hidden, Sampling sampling, long seed) {
        try (Query query = ask(hidden)) {
            return queries.sample(query, sampling, seed, new int[query.states()]);
        }
    }

    /** Draws one token for each hidden state into {@code tokens}, B of them. */
    public void sample(float[] hidden, Sampling sampling, long seed, int[] tokens) {
        try (Query query = ask(hidden)) {
            queries.sample(query, sampling, seed, tokens);
        }
    }

    /** Draws one token for each hidden state into {@code tokens}, B of them. */
    public void sample(MemorySegment hidden, Sampling sampling, long seed, int[] tokens) {
        try (Query query = ask(hidden)) {
            queries.sample(query, sampling, seed, tokens);
        }
    }

    /** log sum_i exp(logit_i) of each hidden state. */
    public double[] logSumExp(float[] hidden) {
        try (Query query = ask(hidden)) {
            return queries.logSumExp(query, new double[query.states()]);
        }
    }

    /** log sum_i exp(logit_i) of each hidden state. */
    public double[] logSumExp(MemorySegment hidden) {
        try (Query query = ask(hidden)) {
            return queries.logSumExp(query, new double[query.states()]);
        }
    }

    /** Writes log sum_i exp(logit_i) of each hidden state, B of them. */
    public void logSumExp(float[] hidden, double[] target) {
        try (Query query = ask(hidden)) {
            queries.logSumExp(query, target);
        }
    }

    /** Writes log sum_i exp(logit_i) of each hidden state, B of them. */
    public void logSumExp(MemorySegment hidden, double[] target) {
        try (Query query = ask(hidden)) {
            queries.logSumExp(query, target);
        }
    }

    /** Writes all logits, B x N. */
    public void logits(float[] hidden, float[] target) {
        try (Query query = ask(hidden)) {
            queries.logits(query, MemorySegment.ofArray(target));
        }
    }

    /** Writes all logits, B x N. */
    public void logits(MemorySegment hidden, float[] target) {
        try (Query query = ask(hidden)) {
            queries.logits(query, MemorySegment.ofArray(target));
        }
    }

    /** Writes all logits, B x N floats in the machine's byte order, into memory that every thread may use. */
    public void logits(float[] hidden, MemorySegment target) {
        try (Query query = ask(hidden)) {
            queries.logits(query, target);
        }
    }

    /** Writes all logits, B x N floats in the machine's byte order, into memory that every thread may use. */
    public void logits(MemorySegment hidden, MemorySegment target) {
        try (Query query = ask(hidden)) {
            queries.logits(query, target);
        }
    }

    private Query ask(float[] hidden) {
        return loaded.query().take(hidden);
    }

    private Query ask(MemorySegment hidden) {
        return loaded.query().take(hidden);
    }

    /** Waits for running queries and closes what this head made; calling it again does nothing. */
    @Override
    public void close() {
        loaded.close();
    }
}
