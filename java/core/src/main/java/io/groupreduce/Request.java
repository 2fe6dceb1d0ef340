package io.groupreduce;

import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.select.GumbelNoise;
import java.util.Objects;

/**
 * What one sequence asks of a {@link SoftmaxHead}: how its next token is chosen, and what is to be known beside it. An engine keeps one for
 * each sequence and tells it of every token with {@link #accept}. An object is changed by its methods, which return it; sequences never share one.
 *
 * <p>The logits y of the model become those that are chosen from in this order: a token's bias is added; of a token seen before, in the
 * prompt or accepted, a positive logit is divided by the repetition penalty and a negative one multiplied; of a token accepted n
 * times {@code frequency n + presence} is taken off; tokens that are not allowed have none. A draw then divides by the temperature and
 * keeps what top-k, top-p and min-p leave.
 *
 * <p>The draw depends on the logits, the seed and the step alone: not on the place in a batch, the batch, the backend or the number of threads.
 * {@link #accept} counts the step up, so that every token of a sequence is drawn anew. A head does not change a request: asked twice, it
 * answers the same.
 *
 * <p>For one thread at a time.
 */
public final class Request {
    private enum Choice {
        NONE,
        LIKELIEST,
        DRAWN
    }

    private static final int[] NO_TOKENS = {};

    private final Choice choice;
    private final Sampling sampling;
    private long seed;
    private long step;
    private int top;
    private Probabilities probabilities = Probabilities.NONE;
    private int[] scored = NO_TOKENS;
    private TokenSet allowed;
    private TokenSet banned;
    private double lookTemperature = 1;
    private double repetition = 1;
    private double frequency;
    private double presence;
    private final NamedTokens named = new NamedTokens();

    private Request(Choice choice, Sampling sampling, long seed) {
        this.choice = choice;
        this.sampling = sampling;
        this.seed = seed;
    }

    /** @throws InvalidDataException if there is not one request for each of so many hidden states */
    static void requireEach(Request[] requests, int states) {
        if (requests.length != states) {
            throw new InvalidDataException(
                    "There are " + requests.length + " requests for " + states + " hidden states; give one for each.");
        }
        for (int s = 0; s < states; s++) {
            if (requests[s] == null) {
                throw new InvalidDataException("Row " + s + " has no request; give one for each hidden state.");
            }
        }
    }

    /** Chooses the likeliest token, ties to the lower one. */
    public static Request greedy() {
        return new Request(Choice.LIKELIEST, null, 0);
    }

    /** Draws a token; sequences that are to differ take different seeds. */
    public static Request sample(Sampling sampling, long seed) {
        return new Request(Choice.DRAWN, Objects.requireNonNull(sampling, "sampling"), seed);
    }

    /** Chooses nothing: for lists, scores and log-probabilities alone. */
    public static Request look() {
        return new Request(Choice.NONE, null, 0);
    }

    /** An independent request of the same state, for instance to run ahead of the sequence. */
    public Request copy() {
        Request copy = new Request(choice, sampling, seed);
        copy.step = step;
        copy.top = top;
        copy.probabilities = probabilities;
        copy.scored = scored;
        copy.allowed = allowed;
        copy.banned = banned;
        copy.lookTemperature = lookTemperature;
        copy.repetition = repetition;
        copy.frequency = frequency;
        copy.presence = presence;
        copy.named.copyFrom(named);
        return copy;
    }

    /**
     * Wants the n tokens of largest logit too, with log-probabilities if there are any: the model's, or with {@link Probabilities#DRAWN} those that
     * are chosen from.
     *
     * @throws InvalidOptionException if n is negative
     */
    public Request top(int n) {
        if (n < 0) {
            throw new InvalidOptionException("The number of likeliest tokens is " + n + "; give 0 or more.");
        }
        top = n;
        return this;
    }

    /** Wants log-probabilities of this distribution, and its log-sum-exp. */
    public Request probabilities(Probabilities of) {
        probabilities = Objects.requireNonNull(of, "of");
        return this;
    }

    /**
     * Wants the logits of these tokens too, which are copied, with log-probabilities if there are any; none for none.
     *
     * @throws InvalidDataException if one is below 0
     */
    public Request score(int... tokens) {
        for (int token : tokens) {
            if (token < 0) {
                throw new InvalidDataException("A request cannot score token " + token + "; tokens count from 0.");
            }
        }
        scored = tokens.clone();
        return this;
    }

    /** Chooses among these tokens only; {@code null} for all. */
    public Request allow(TokenSet tokens) {
        allowed = tokens;
        return this;
    }

    /** Never chooses one of these tokens, for instance an end of text that would come too soon, whatever is allowed; {@code null} for none. */
    public Request ban(TokenSet tokens) {
        banned = tokens;
        return this;
    }

    /**
     * At which temperature {@link Probabilities#DRAWN} are where nothing is drawn; 1 unless it is said.
     *
     * @throws InvalidOptionException if it is not a finite number above 0, or the request draws, at the temperature of its sampling
     */
    public Request temperature(double value) {
        if (draws() || !(value > 0 && value <= Double.MAX_VALUE)) {
            throw new InvalidOptionException(
                    draws()
                            ? "The request draws at temperature " + sampling.temperature()
                                    + "; give another sampling to change that."
                            : "The temperature is " + value + "; give a finite number above 0.");
        }
        lookTemperature = value;
        return this;
    }

    /**
     * Adds a number to the logit of a token; 0 for none.
     *
     * @throws InvalidDataException if the token is below 0
     * @throws InvalidOptionException if the number is not finite
     */
    public Request bias(int token, double value) {
        if (!(Math.abs(value) <= Float.MAX_VALUE)) {
            throw new InvalidOptionException("The bias of token " + token + " is " + value
                    + "; give a finite number, or leave the token out of those allowed.");
        }
        named.entry(token).bias = value;
        return this;
    }

    /**
     * Makes tokens that occurred less likely; 1 leaves them.
     *
     * @throws InvalidOptionException if it is not a finite number above 0
     */
    public Request repetitionPenalty(double penalty) {
        if (!(penalty > 0 && penalty <= Float.MAX_VALUE)) {
            throw new InvalidOptionException(
                    "The repetition penalty is " + penalty + "; give a finite number above 0, 1 for none.");
        }
        repetition = penalty;
        return this;
    }

    /**
     * Takes this off the logit of a token for each time that it was accepted.
     *
     * @throws InvalidOptionException if it is not finite
     */
    public Request frequencyPenalty(double penalty) {
        frequency = finite("frequency", penalty);
        return this;
    }

    /**
     * Takes this off the logit of a token that was accepted.
     *
     * @throws InvalidOptionException if it is not finite
     */
    public Request presencePenalty(double penalty) {
        presence = finite("presence", penalty);
        return this;
    }

    private static double finite(String name, double penalty) {
        if (!(Math.abs(penalty) <= Float.MAX_VALUE)) {
            throw new InvalidOptionException("The " + name + " penalty is " + penalty + "; give a finite number.");
        }
        return penalty;
    }

    /**
     * Counts tokens as seen, for the repetition penalty.
     *
     * @throws InvalidDataException if one is below 0
     */
    public Request prompt(int... tokens) {
        for (int token : tokens) {
            named.entry(token).seen = true;
        }
        return this;
    }

    /**
     * Takes a token into the sequence: it counts as seen and accepted, and the next draw is another step.
     *
     * @throws InvalidDataException if it is below 0
     */
    public Request accept(int token) {
        NamedTokens.Entry entry = named.entry(token);
        entry.seen = true;
        entry.accepted++;
        step++;
        return this;
    }

    /** Draws with this seed from now on: for copies that are to differ. */
    public Request seed(long number) {
        seed = number;
        return this;
    }

    /** Continues at this step, from 0 on: only where a sequence is taken up again elsewhere. */
    public Request step(long number) {
        step = number;
        return this;
    }

    /** How many tokens were accepted, unless {@link #step(long)} said otherwise. */
    public long step() {
        return step;
    }

    boolean chooses() {
        return choice != Choice.NONE;
    }

    boolean draws() {
        return choice == Choice.DRAWN;
    }

    /** {@code null} where nothing is drawn. */
    Sampling sampling() {
        return sampling;
    }

    /** What logits are divided by before they are probabilities of what is drawn. */
    double temperature() {
        return draws() ? sampling.temperature() : lookTemperature;
    }

    long noiseKey() {
        return GumbelNoise.key(seed, step);
    }

    int top() {
        return top;
    }

    Probabilities probabilities() {
        return probabilities;
    }

    /** Callers must not write to it. */
    int[] scored() {
        return scored;
    }

    /** {@code null} for all. */
    TokenSet allowed() {
        return allowed;
    }

    /** {@code null} for none. */
    TokenSet banned() {
        return banned;
    }

    /** Whether a token may be chosen. */
    boolean allows(int token) {
        return (allowed == null || allowed.contains(token)) && (banned == null || !banned.contains(token));
    }

    /** Whether every token may be chosen. */
    boolean allowsAll() {
        return allowed == null && banned == null;
    }

    /** Tokens with a bias, seen or accepted; those to {@link #named} may be altered. */
    int named() {
        return named.size();
    }

    int namedToken(int index) {
        return named.at(index).token;
    }

    /** The largest token that was named, of whatever use; -1 for none. */
    int largestNamed() {
        int largest = allowed == null ? -1 : allowed.largestNamed();
        largest = Math.max(largest, banned == null ? -1 : banned.largestNamed());
        for (int token : scored) {
            largest = Math.max(largest, token);
        }
        return Math.max(largest, named.largest());
    }

    /** Whether the logit of a named token is another for the choice than for the model. */
    boolean alters(int index) {
        NamedTokens.Entry entry = named.at(index);
        return entry.bias != 0
                || entry.seen && repetition != 1
                || entry.accepted > 0 && (frequency != 0 || presence != 0);
    }

    /** The logit of a named token for the choice. */
    float altered(int index, float logit) {
        NamedTokens.Entry entry = named.at(index);
        double y = logit + entry.bias;
        if (entry.seen) {
            y = y > 0 ? y / repetition : y * repetition;
        }
        if (entry.accepted > 0) {
            y -= frequency * entry.accepted + presence;
        }
        return (float) Math.clamp(y, -Float.MAX_VALUE, Float.MAX_VALUE);
    }

    /** The place of a token among the named ones, or -1. */
    int find(int token) {
        return named.find(token);
    }
}
