package io.groupreduce;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import java.util.Arrays;
import java.util.Objects;

/**
 * What a {@link SoftmaxHead} answers to the requests of a batch, a row for each. Give the same object to the next query: its memory is
 * used again, and no more is taken in steady state.
 *
 * <p>What was not asked for is refused with {@link InvalidOptionException}, a row or place that is not there with {@link IndexOutOfBoundsException}.
 * After a query that fails there are no rows. For one thread at a time.
 */
public final class Answers {
    private final Row[] rows;
    private int size;
    /** Which tokens the answers are about, part by part. */
    private TokenRange[] parts = new TokenRange[1];

    private int partCount;

    private Answers(int capacity) {
        rows = new Row[capacity];
    }

    /**
     * Room for the answers to so many requests.
     *
     * @throws InvalidOptionException if there are none
     */
    public static Answers of(int capacity) {
        if (capacity < 1) {
            throw new InvalidOptionException("There is no room for answers in " + capacity + " rows; give at least 1.");
        }
        return new Answers(capacity);
    }

    /**
     * Begins a query about these tokens.
     *
     * @throws InvalidDataException if there is no room for so many rows
     */
    void begin(int states, TokenRange tokens) {
        if (states > rows.length) {
            throw new InvalidDataException("There is room for the answers of " + rows.length + " rows, but " + states
                    + " hidden states were given; make room for as many.");
        }
        for (int i = 0; i < states; i++) {
            rows[i] = rows[i] == null ? new Row() : rows[i];
        }
        size = states;
        parts[0] = tokens;
        partCount = 1;
    }

    /** After a query that failed there are no answers. */
    void forget() {
        size = 0;
    }

    Row row(int row) {
        return rows[Objects.checkIndex(row, size)];
    }

    /** How many requests were answered. */
    public int rows() {
        return size;
    }

    /** The token that was chosen; of a part of a vocabulary, if it has one to choose from, else -1. */
    public int token(int row) {
        Row found = row(row);
        if (!found.chose()) {
            throw notAsked(row, "no token was to be chosen", "Request.greedy or Request.sample chooses one");
        }
        return found.token();
    }

    /** The tokens that were chosen, in new memory. */
    public int[] tokens() {
        int[] tokens = new int[size];
        tokens(tokens);
        return tokens;
    }

    /**
     * Writes the tokens that were chosen.
     *
     * @throws InvalidDataException if there is no room for them
     */
    public void tokens(int[] target) {
        if (target.length < size) {
            throw new InvalidDataException(
                    "There is room for " + target.length + " tokens, but " + size + " were chosen; make room for all.");
        }
        for (int i = 0; i < size; i++) {
            target[i] = token(i);
        }
    }

    /** The natural logarithm of the probability of the chosen token; NaN if a part has none to choose from. */
    public float logProbability(int row) {
        token(row);
        return requireProbabilities(row).tokenLogProbability();
    }

    /** log sum exp of the model's logits, or with {@link Probabilities#DRAWN} of those that are drawn from, divided by the temperature. */
    public double logSumExp(int row) {
        return requireProbabilities(row).logSumExp();
    }

    /**
     * How many of the likeliest tokens there are: as many as were asked for, or all. They are the model's, whatever the request allows or alters, but with
     * {@link Probabilities#DRAWN} those that are chosen from.
     */
    public int top(int row) {
        return row(row).top();
    }

    /** The token of this place, 0 the likeliest; ties go to the lower token. */
    public int topToken(int row, int place) {
        return requireTop(row, place).topToken(place);
    }

    /** The logit of the token of this place. */
    public float topLogit(int row, int place) {
        return requireTop(row, place).topLogit(place);
    }

    /** The natural logarithm of the probability of the token of this place. */
    public float topLogProbability(int row, int place) {
        requireProbabilities(row);
        return requireTop(row, place).topLogProbability(place);
    }

    /** The model's logit of the token that {@link Request#score} named at this index; NaN if it is not in the head's part of a vocabulary. */
    public float scoreLogit(int row, int index) {
        return requireScore(row, index).scoreLogit(index);
    }

    /** The natural logarithm of the probability of the token that {@link Request#score} named at this index. */
    public float scoreLogProbability(int row, int index) {
        requireProbabilities(row);
        return requireScore(row, index).scoreLogProbability(index);
    }

    /**
     * Takes over what another head of the same model answered to the same requests about its own part of the vocabulary, so that in the end the answers
     * are the whole's; see {@link io.groupreduce.api.HeadOptions#withPart}. All parts must be asked before a request changes. A draw with top-p or min-p from a
     * distribution so flat that parts do not list what stays, 1,024 tokens each, is left undecided, with token -1.
     *
     * @throws InvalidDataException if the rows are not as many, or both have an answer about the same tokens, or they are of different vocabularies
     */
    public void merge(Answers part) {
        if (part.size != size) {
            throw new InvalidDataException("Answers of " + size + " rows cannot be merged with answers of " + part.size
                    + "; ask all parts the same requests.");
        }
        for (int i = 0; i < partCount; i++) {
            for (int j = 0; j < part.partCount; j++) {
                requireOthers(parts[i], part.parts[j]);
            }
        }
        int both = partCount + part.partCount;
        parts = parts.length < both ? Arrays.copyOf(parts, both) : parts;
        System.arraycopy(part.parts, 0, parts, partCount, part.partCount);
        partCount = both;
        for (int i = 0; i < size; i++) {
            rows[i].merge(part.rows[i]);
        }
    }

    private static void requireOthers(TokenRange mine, TokenRange others) {
        if (!mine.completes(others)) {
            throw new InvalidDataException("Answers about " + mine + " cannot be merged with answers about " + others
                    + "; merge each part of one vocabulary once.");
        }
    }

    private Row requireTop(int row, int place) {
        Row found = row(row);
        if (!found.listed()) {
            throw notAsked(row, "no likeliest tokens were asked for", "Request.top asks for them");
        }
        Objects.checkIndex(place, found.top());
        return found;
    }

    private Row requireScore(int row, int index) {
        Row found = row(row);
        if (found.scores() == 0) {
            throw notAsked(row, "no scores were asked for", "Request.score asks for them");
        }
        Objects.checkIndex(index, found.scores());
        return found;
    }

    private Row requireProbabilities(int row) {
        Row found = row(row);
        if (!found.summed()) {
            throw notAsked(row, "no log-probabilities were asked for", "Request.probabilities asks for them");
        }
        return found;
    }

    private static InvalidOptionException notAsked(int row, String what, String how) {
        return new InvalidOptionException("Of row " + row + " " + what + "; " + how + ".");
    }
}
