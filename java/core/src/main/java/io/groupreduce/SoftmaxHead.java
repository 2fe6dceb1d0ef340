package io.groupreduce;

import io.groupreduce.LoadedMatrix.Query;
import io.groupreduce.api.Backend;
import io.groupreduce.api.DeviceAnswers;
import io.groupreduce.api.HeadOptions;
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
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The softmax of a compressed output matrix: for a batch of B hidden states h of D numbers ({@link States}), answers from the logits
 * {@code scale * (A^ h) + bias} of all N tokens, capped softly where the model does so, which it does not write down. Factor, bias and cap are those of the
 * file.
 *
 * <p>{@link #answer} serves an engine: what each sequence wants is a {@link Request} of its own, and one pass over the matrix answers them
 * all. The other queries are short forms of it. Beyond their results they allocate a little; {@link #answer} allocates nothing in steady state with one thread and a few
 * small objects with several, as long as at most 16 queries run at once.
 *
 * <p>Any number of threads may ask at once. Every query throws {@link InvalidDataException} for a width other
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
    private final String name;
    private final int rows;

    private SoftmaxHead(LoadedMatrix loaded) {
        this.loaded = loaded;
        this.name = loaded.matrix().name();
        this.rows = loaded.range().count();
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

    /** N: tokens are 0 to N - 1, also of a head that has only a part of them. */
    public int vocabularySize() {
        return loaded.range().vocabulary();
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

    /**
     * Answers what each hidden state's request asks: in one pass over the matrix, whatever they ask together.
     *
     * @param requests one for each hidden state, not changed
     * @param answers receives a row for each
     * @throws InvalidDataException naming the row, if there are not as many requests as states, a request names a token outside the vocabulary or allows none,
     *     or there is no room for the answers
     */
    public void answer(States hidden, Request[] requests, Answers answers) {
        try (Query query = loaded.query(hidden)) {
            query.answering().answer(query, loaded, requests, answers);
        } catch (Throwable e) {
            // Whatever failed: old answers must not be taken for new ones.
            answers.forget();
            throw e;
        }
    }

    /**
     * Answers where the hidden states are: on the GPU, into buffers of the caller's. The states' stream says in which order; the host waits for
     * nothing, unless the query is larger than all before it. What can be left there is the likeliest token or a plain draw of each row, the
     * log-sum-exp, and a list.
     *
     * @param hidden of {@link States#onDevice}
     * @param requests one for each hidden state, not changed: where a sequence draws again, the caller sets its {@link Request#step(long)}
     * @throws InvalidOptionException naming the row of a request that asks for more (allowed tokens, bias, penalties, scores, top-k, top-p,
     *     min-p), if hidden states are on the host, or the head has only a part of the vocabulary
     * @throws DeviceException if the head is not on a GPU, states or buffers are not memory of it as far as it can tell, or it fails
     */
    public void answer(States hidden, Request[] requests, DeviceAnswers answers) {
        if (!hidden.isOnDevice()) {
            throw new InvalidOptionException("Answers can be left on the device for hidden states there; give"
                    + " States.onDevice, or use Answers.");
        }
        try (Query query = loaded.query()) {
            int columns = loaded.matrix().columns();
            int states = hidden.count(columns, name);
            DeviceRequests asked = new DeviceRequests(requests, states, answers, loaded.range());
            query.session()
                    .answer(hidden.onDevice(states, columns), loaded.scale(), asked.temperatures, asked.keys, answers);
        }
    }

    private Answers answer(States hidden, Request everyRow) {
        try (Query query = loaded.query(hidden)) {
            Request[] requests = new Request[query.states()];
            Arrays.fill(requests, everyRow);
            Answers answers = Answers.of(requests.length);
            query.answering().answer(query, loaded, requests, answers);
            return answers;
        }
    }

    /** The likeliest token of each hidden state, ties to the lower token. */
    public int[] greedy(States hidden) {
        requireWhole();
        return answer(hidden, Request.greedy()).tokens();
    }

    /**
     * The k likeliest tokens of each hidden state, with log-probabilities.
     *
     * @throws InvalidOptionException if k is below 1; where it is above N there are N
     */
    public Answers topK(States hidden, int k) {
        requireWhole();
        if (k < 1) {
            throw new InvalidOptionException(
                    "The number of likeliest tokens k is " + k + "; for '" + name + "' give at least 1.");
        }
        return answer(hidden, Request.look().top(k).probabilities(Probabilities.MODEL));
    }

    /**
     * Chooses a token for each hidden state as its request says, and has the request accept it: in a loop, every step draws anew. Callers do not
     * accept it again.
     *
     * @param requests one for each hidden state, in their order
     * @throws InvalidOptionException if the head has only a part of the vocabulary: its answers must be merged first
     */
    public int[] sample(States hidden, Request... requests) {
        requireWhole();
        for (int i = 1; i < requests.length; i++) {
            for (int j = 0; j < i; j++) {
                if (requests[i] != null && requests[i] == requests[j]) {
                    throw new InvalidDataException("Rows " + j + " and " + i
                            + " have the same request, which cannot accept a token for each; give every sequence one.");
                }
            }
        }
        Answers answers = Answers.of(Math.max(1, requests.length));
        answer(hidden, requests, answers);
        int[] tokens = answers.tokens();
        for (int i = 0; i < tokens.length; i++) {
            requests[i].accept(tokens[i]);
        }
        return tokens;
    }

    private void requireWhole() {
        if (loaded.range().partial()) {
            throw new InvalidOptionException(
                    "The softmax head of '" + name
                            + "' has only a part of the vocabulary, which does not know the whole's answers; use answer and merge.");
        }
    }

    /**
     * The natural logarithm of the probability of one given token for each hidden state, at temperature 1: what perplexity is made of.
     *
     * @param tokens one for each hidden state
     * @throws InvalidOptionException if the head has only a part of the vocabulary: its answers must be merged first
     */
    public float[] logProbabilities(States hidden, int[] tokens) {
        requireWhole();
        try (Query query = loaded.query(hidden)) {
            int states = query.states();
            if (tokens.length != states) {
                throw new InvalidDataException(
                        "There are " + tokens.length + " tokens for " + states + " hidden states; give one for each.");
            }
            loaded.requireTokens(tokens, states);
            Request[] requests = new Request[states];
            for (int s = 0; s < states; s++) {
                requests[s] = Request.look().score(tokens[s]).probabilities(Probabilities.MODEL);
            }
            Answers answers = Answers.of(states);
            query.answering().answer(query, loaded, requests, answers);
            float[] logProbabilities = new float[states];
            for (int s = 0; s < states; s++) {
                logProbabilities[s] = answers.scoreLogProbability(s, 0);
            }
            return logProbabilities;
        }
    }

    /** log sum_i exp(logit_i) of each hidden state. */
    public double[] logSumExp(States hidden) {
        requireWhole();
        Answers answers = answer(hidden, Request.look().probabilities(Probabilities.MODEL));
        return IntStream.range(0, answers.rows())
                .mapToDouble(answers::logSumExp)
                .toArray();
    }

    /**
     * The logits of some tokens for each hidden state, from their rows alone: no pass over the vocabulary.
     *
     * @param tokens the same for all hidden states, in any order
     * @return B x tokens
     */
    public float[] logitsOf(States hidden, int... tokens) {
        Answers answers = answer(hidden, Request.look().score(tokens));
        float[] logits = new float[Math.multiplyExact(answers.rows(), tokens.length)];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = answers.scoreLogit(i / tokens.length, i % tokens.length);
        }
        return logits;
    }

    /** Writes all logits, B x N. */
    public void logits(States hidden, float[] target) {
        logits(hidden, MemorySegment.ofArray(target));
    }

    /** Writes all logits, B x N floats in the machine's byte order, into memory that every thread may use. */
    public void logits(States hidden, MemorySegment target) {
        try (Query query = loaded.query(hidden)) {
            long count = (long) query.states() * rows;
            Shareable.requireUsable(target, "the logits");
            if (target.byteSize() / Float.BYTES < count) {
                throw new InvalidDataException("There is room for " + target.byteSize() / Float.BYTES + " logits, but "
                        + count + " are needed.");
            }
            if (target.isReadOnly() || !Shareable.is(target)) {
                throw new InvalidDataException("The segment for the logits is read-only or belongs to one thread; give"
                        + " one of a shared or an automatic arena, or an array.");
            }
            query.session().logits(query.hidden(), query.states(), target);
            long bad = Finite.firstNot(target, count);
            if (bad >= 0) {
                throw query.notFinite((int) (bad / rows));
            }
        }
    }

    /**
     * Asks questions that nobody needs answers to, so that a server is fast before it takes traffic: the first one lays the codes out, and
     * Java compiles what is asked often.
     *
     * @param batchSizes numbers of hidden states that will be asked for together, each at least 1
     */
    public void warmUp(int... batchSizes) {
        WarmUp.run(this, loaded, batchSizes);
    }

    /** Waits for running queries and closes what this head made; calling it again does nothing. */
    @Override
    public void close() {
        loaded.close();
    }
}
