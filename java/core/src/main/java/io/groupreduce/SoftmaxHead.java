package io.groupreduce;

import io.groupreduce.LoadedMatrix.Query;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.RankedTokens;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.Logits;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.internal.check.Shareable;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.Backend;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * The softmax of a compressed output matrix: for a batch of B hidden states h of D numbers, answers from the logits
 * {@code scale * (A^ h) + bias} of all N tokens, which it does not write down. Factor and bias are those of the file. Where a query names no result array, it returns a new one.
 *
 * <p>Hidden states are B x D, row-major: a {@code float[]}, whose length gives B and which is not copied, or a {@link MemorySegment}
 * of floats in the machine's byte order at any address, in or outside the heap, which is. Given arrays may be longer than needed.
 *
 * <p>Where the file says that the model caps its logits softly, those that are returned are capped, and what needs probabilities
 * ({@link #topK}, {@link #logProbabilities}, {@link #logSumExp}, {@link #sample}) is refused with {@link InvalidDataException}: their sums are of
 * logits without a cap. {@link HeadOptions#withLogitScale} leaves the cap out.
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

    /** What stands for the result of a query that names none. */
    private static final int[] NEW_TOKENS = {};

    private static final float[] NEW_FLOATS = {};
    private static final double[] NEW_DOUBLES = {};

    private final LoadedMatrix loaded;
    private final SoftCap cap;
    private final String name;
    private final int rows;

    private SoftmaxHead(LoadedMatrix loaded) {
        this.loaded = loaded;
        this.name = loaded.matrix().name();
        this.cap = new SoftCap(loaded.cap(), name);
        this.rows = loaded.matrix().rows();
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
     * @throws InvalidDataException if it is of another version, has not exactly one candidate for the matrix, or a factor or the bias
     *     holds NaN or infinity
     * @throws InvalidOptionException if the device is unknown
     * @throws DeviceException if the device cannot run
     */
    public static SoftmaxHead open(Path file, HeadOptions options) {
        return new SoftmaxHead(LoadedMatrix.open(KIND, file, null, options, opened -> Wanted.of(opened, options)));
    }

    /** The same on a backend that stays the caller's and that several heads may share. */
    public static SoftmaxHead open(Path file, Backend backend, HeadOptions options) {
        return new SoftmaxHead(LoadedMatrix.open(KIND, file, backend, options, opened -> Wanted.of(opened, options)));
    }

    /**
     * A head on a matrix that stays the caller's.
     *
     * @param bias the model's, length N, or {@code null}: added to the logits where neither the options nor the matrix have one
     * @throws InvalidDataException if the length of a bias is not N, or a factor or the bias holds NaN or infinity
     * @throws InvalidOptionException if the matrix lies in an arena of one thread
     */
    public static SoftmaxHead of(Backend backend, CompressedMatrix matrix, float[] bias, HeadOptions options) {
        Shareable.require(matrix);
        float[] model = matrix.bias() == null ? bias : matrix.bias();
        return new SoftmaxHead(LoadedMatrix.of(KIND, backend, Wanted.of(matrix, model, Logits.PLAIN, options)));
    }

    /** N: tokens are 0 to N - 1. */
    public int vocabularySize() {
        return rows;
    }

    /** D: the width of a hidden state. */
    public int hiddenSize() {
        return loaded.matrix().columns();
    }

    /** The name of the compressed tensor. */
    public String name() {
        return name;
    }

    /** What answers, in one line: the backend, its instruction set or card, its threads. */
    public String device() {
        return loaded.device();
    }

    /** The likeliest token of each hidden state, ties to the lower token. */
    public int[] greedy(float[] hidden) {
        return greedy(loaded.query(hidden), NEW_TOKENS);
    }

    /** The likeliest token of each hidden state, ties to the lower token. */
    public int[] greedy(MemorySegment hidden) {
        return greedy(loaded.query(hidden), NEW_TOKENS);
    }

    /** Writes the likeliest token of each hidden state, B of them. */
    public void greedy(float[] hidden, int[] tokens) {
        greedy(loaded.query(hidden), tokens);
    }

    /** Writes the likeliest token of each hidden state, B of them. */
    public void greedy(MemorySegment hidden, int[] tokens) {
        greedy(loaded.query(hidden), tokens);
    }

    /**
     * The k likeliest tokens with logits and log-probabilities.
     *
     * @throws InvalidOptionException if k is not from 1 to N
     */
    public RankedTokens topK(float[] hidden, int k) {
        return ranked(loaded.query(hidden), k, true);
    }

    /** The same for hidden states in a segment. */
    public RankedTokens topK(MemorySegment hidden, int k) {
        return ranked(loaded.query(hidden), k, true);
    }

    /**
     * The k tokens of largest logit, without log-probabilities: less work, because tokens that cannot be among them need not be
     * scored.
     *
     * @throws InvalidOptionException if k is not from 1 to N
     */
    public RankedTokens topLogits(float[] hidden, int k) {
        return ranked(loaded.query(hidden), k, false);
    }

    /** The same for hidden states in a segment. */
    public RankedTokens topLogits(MemorySegment hidden, int k) {
        return ranked(loaded.query(hidden), k, false);
    }

    /**
     * Overwrites {@code target} with its k likeliest tokens, and with what else it has room for.
     *
     * @throws InvalidOptionException if its k is not from 1 to N
     * @throws InvalidDataException if it is for another number of hidden states
     */
    public void top(float[] hidden, RankedTokens target) {
        ranked(loaded.query(hidden), target);
    }

    /** The same for hidden states in a segment. */
    public void top(MemorySegment hidden, RankedTokens target) {
        ranked(loaded.query(hidden), target);
    }

    /**
     * The natural logarithm of the probability of one given token for each hidden state: what perplexity is made of.
     *
     * @param tokens B of them
     */
    public float[] logProbabilities(float[] hidden, int[] tokens) {
        return logProbabilities(loaded.query(hidden), tokens, NEW_FLOATS);
    }

    /** The same for hidden states in a segment. */
    public float[] logProbabilities(MemorySegment hidden, int[] tokens) {
        return logProbabilities(loaded.query(hidden), tokens, NEW_FLOATS);
    }

    /** Writes the log-probability of one given token for each hidden state, B of them. */
    public void logProbabilities(float[] hidden, int[] tokens, float[] target) {
        logProbabilities(loaded.query(hidden), tokens, target);
    }

    /** The same for hidden states in a segment. */
    public void logProbabilities(MemorySegment hidden, int[] tokens, float[] target) {
        logProbabilities(loaded.query(hidden), tokens, target);
    }

    /** Draws one token for each hidden state; the same seed and batch draw the same tokens on every backend. */
    public int[] sample(float[] hidden, Sampling sampling, long seed) {
        return sample(loaded.query(hidden), sampling, seed, NEW_TOKENS);
    }

    /** Draws one token for each hidden state; the same seed and batch draw the same tokens on every backend. */
    public int[] sample(MemorySegment hidden, Sampling sampling, long seed) {
        return sample(loaded.query(hidden), sampling, seed, NEW_TOKENS);
    }

    /** Draws one token for each hidden state into {@code tokens}, B of them. */
    public void sample(float[] hidden, Sampling sampling, long seed, int[] tokens) {
        sample(loaded.query(hidden), sampling, seed, tokens);
    }

    /** Draws one token for each hidden state into {@code tokens}, B of them. */
    public void sample(MemorySegment hidden, Sampling sampling, long seed, int[] tokens) {
        sample(loaded.query(hidden), sampling, seed, tokens);
    }

    /** log sum_i exp(logit_i) of each hidden state. */
    public double[] logSumExp(float[] hidden) {
        return logSumExp(loaded.query(hidden), NEW_DOUBLES);
    }

    /** log sum_i exp(logit_i) of each hidden state. */
    public double[] logSumExp(MemorySegment hidden) {
        return logSumExp(loaded.query(hidden), NEW_DOUBLES);
    }

    /** Writes log sum_i exp(logit_i) of each hidden state, B of them. */
    public void logSumExp(float[] hidden, double[] target) {
        logSumExp(loaded.query(hidden), target);
    }

    /** Writes log sum_i exp(logit_i) of each hidden state, B of them. */
    public void logSumExp(MemorySegment hidden, double[] target) {
        logSumExp(loaded.query(hidden), target);
    }

    /** Writes all logits, B x N. */
    public void logits(float[] hidden, float[] target) {
        logits(hidden, MemorySegment.ofArray(target));
    }

    /** Writes all logits, B x N. */
    public void logits(MemorySegment hidden, float[] target) {
        logits(hidden, MemorySegment.ofArray(target));
    }

    /** Writes all logits, B x N floats in the machine's byte order, into memory that every thread may use. */
    public void logits(float[] hidden, MemorySegment target) {
        logits(loaded.query(hidden), target);
    }

    /** Writes all logits, B x N floats in the machine's byte order, into memory that every thread may use. */
    public void logits(MemorySegment hidden, MemorySegment target) {
        logits(loaded.query(hidden), target);
    }

    private int[] greedy(Query asked, int[] given) {
        try (Query query = asked) {
            int states = query.states();
            int[] tokens = given == NEW_TOKENS ? new int[states] : given;
            requireRoom("tokens", tokens.length, states);
            float[] logits = query.floats(states);
            query.session().top(query.hidden(), states, 1, tokens, logits, null);
            query.requireFinite(logits, 1);
            query.requireTokens(tokens, 1);
            return tokens;
        }
    }

    private RankedTokens ranked(Query asked, int k, boolean probable) {
        try (Query query = asked) {
            requireRank(k);
            RankedTokens target =
                    probable ? RankedTokens.of(query.states(), k) : RankedTokens.ofLogits(query.states(), k);
            rank(query, target);
            return target;
        }
    }

    private void ranked(Query asked, RankedTokens target) {
        try (Query query = asked) {
            requireRank(target.k());
            if (target.states() != query.states()) {
                throw new InvalidDataException("The ranked tokens have room for " + target.states()
                        + " hidden states, but " + query.states() + " were given; make room for as many.");
            }
            rank(query, target);
        }
    }

    private void rank(Query query, RankedTokens target) {
        int states = query.states();
        int k = target.k();
        float[] logits = target.logits();
        float[] logProbabilities = target.logProbabilities();
        if (logProbabilities != null) {
            cap.requireNone();
        }
        double[] logSumExp = logProbabilities == null ? null : query.doubles(states);
        query.session().top(query.hidden(), states, k, target.tokens(), logits, logSumExp);
        query.requireFinite(logits, k);
        query.requireTokens(target.tokens(), k);
        if (logSumExp != null) {
            query.requireFinite(logSumExp);
            for (int i = 0; i < states * k; i++) {
                logProbabilities[i] = logProbability(logits[i], logSumExp[i / k]);
            }
            query.requireFinite(logProbabilities, k);
        }
        cap.apply(logits, states * k);
    }

    private float[] logProbabilities(Query asked, int[] tokens, float[] given) {
        try (Query query = asked) {
            cap.requireNone();
            int states = query.states();
            float[] target = given == NEW_FLOATS ? new float[states] : given;
            requireRoom("tokens", tokens.length, states);
            requireRoom("log-probabilities", target.length, states);
            loaded.requireTokens(tokens, states);
            double[] logSumExp = query.doubles(states);
            query.session().score(query.hidden(), states, tokens, target, logSumExp);
            query.requireFinite(target, 1);
            query.requireFinite(logSumExp);
            for (int s = 0; s < states; s++) {
                target[s] = logProbability(target[s], logSumExp[s]);
            }
            query.requireFinite(target, 1);
            return target;
        }
    }

    /** A sum rounded to less than its largest term must not make a probability of more than 1. */
    private static float logProbability(float logit, double logSumExp) {
        return (float) Math.min(0, logit - logSumExp);
    }

    private int[] sample(Query asked, Sampling sampling, long seed, int[] given) {
        try (Query query = asked) {
            cap.requireNone();
            int states = query.states();
            int[] tokens = given == NEW_TOKENS ? new int[states] : given;
            requireRoom("tokens", tokens.length, states);
            // The k likeliest of no more than k tokens are all of them.
            Sampling kept = sampling.topK() < rows ? sampling : sampling.withTopK(0);
            query.session().sample(query.hidden(), states, kept, seed, tokens);
            query.requireTokens(tokens, 1);
            return tokens;
        }
    }

    private double[] logSumExp(Query asked, double[] given) {
        try (Query query = asked) {
            cap.requireNone();
            int states = query.states();
            double[] target = given == NEW_DOUBLES ? new double[states] : given;
            requireRoom("log-sum-exps", target.length, states);
            query.session().top(query.hidden(), states, 0, NEW_TOKENS, NEW_FLOATS, target);
            query.requireFinite(target);
            return target;
        }
    }

    private void logits(Query asked, MemorySegment target) {
        try (Query query = asked) {
            long count = (long) query.states() * rows;
            Shareable.requireUsable(target, "the logits");
            requireRoom("logits", target.byteSize() / Float.BYTES, count);
            if (target.isReadOnly() || !Shareable.is(target)) {
                throw new InvalidDataException("The segment for the logits is read-only or belongs to one thread; give"
                        + " one of a shared or an automatic arena, or an array.");
            }
            query.session().logits(query.hidden(), query.states(), target);
            long bad = Finite.firstNot(target, count);
            if (bad >= 0) {
                throw query.notFinite((int) (bad / rows));
            }
            cap.apply(target, count);
        }
    }

    private void requireRank(int k) {
        if (k < 1 || k > rows) {
            throw new InvalidOptionException("The number of likeliest tokens k is " + k + "; for '" + name
                    + "' it must lie between 1 and " + rows + ".");
        }
    }

    private static void requireRoom(String what, long length, long needed) {
        if (length < needed) {
            throw new InvalidDataException(
                    "There is room for " + length + " " + what + ", but " + needed + " are needed.");
        }
    }

    /** Waits for running queries and closes what this head made; calling it again does nothing. */
    @Override
    public void close() {
        loaded.close();
    }
}
