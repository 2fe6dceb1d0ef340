package io.groupreduce;

import io.groupreduce.api.RankedTokens;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.check.Finite;
import java.lang.foreign.MemorySegment;

/**
 * The queries of a {@link SoftmaxHead}, once each: checks what was asked for, has the session answer, checks that the answer is finite.
 * Each returns the result array it was given.
 */
final class SoftmaxQueries {
    private static final int[] NO_TOKENS = {};
    private static final float[] NO_LOGITS = {};

    /** Asked whether a segment is open to other threads than the caller's; never started. */
    private static final Thread OTHER = Thread.ofPlatform().unstarted(() -> {});

    private final LoadedMatrix loaded;
    private final String name;
    private final int rows;

    SoftmaxQueries(LoadedMatrix loaded) {
        this.loaded = loaded;
        this.name = loaded.matrix().name();
        this.rows = loaded.matrix().rows();
    }

    int[] greedy(Query query, int[] tokens) {
        int states = query.states();
        requireRoom("tokens", tokens.length, states);
        float[] logits = query.floats(states);
        query.session().top(query.hidden(), states, 1, tokens, logits, null);
        requireAnswer(tokens, logits, states, 1);
        return tokens;
    }

    RankedTokens top(Query query, RankedTokens target) {
        int states = query.states();
        int k = requireRank(target.k());
        if (target.states() != states) {
            throw new InvalidDataException("The ranked tokens have room for " + target.states() + " hidden states, but "
                    + states + " were given; make room for as many.");
        }
        float[] logProbabilities = target.logProbabilities();
        double[] logSumExp = logProbabilities == null ? null : query.doubles(states);
        float[] logits = target.logits();
        query.session().top(query.hidden(), states, k, target.tokens(), logits, logSumExp);
        requireAnswer(target.tokens(), logits, states, k);
        if (logSumExp != null) {
            requireFinite(logSumExp, states);
            for (int i = 0; i < states * k; i++) {
                logProbabilities[i] = logProbability(logits[i], logSumExp[i / k]);
            }
            requireFinite(logProbabilities, states, k);
        }
        return target;
    }

    float[] logProbabilities(Query query, int[] tokens, float[] target) {
        int states = query.states();
        requireRoom("tokens", tokens.length, states);
        requireRoom("log-probabilities", target.length, states);
        loaded.requireTokens(tokens, states);
        double[] logSumExp = query.doubles(states);
        query.session().score(query.hidden(), states, tokens, target, logSumExp);
        requireFinite(target, states, 1);
        requireFinite(logSumExp, states);
        for (int s = 0; s < states; s++) {
            target[s] = logProbability(target[s], logSumExp[s]);
        }
        requireFinite(target, states, 1);
        return target;
    }

    /** A sum rounded to less than its largest term must not make a probability of more than 1. */
    private static float logProbability(float logit, double logSumExp) {
        return (float) Math.min(0, logit - logSumExp);
    }

    int[] sample(Query query, Sampling sampling, long seed, int[] tokens) {
        int states = query.states();
        requireRoom("tokens", tokens.length, states);
        // The k likeliest of no more than k tokens are all of them.
        Sampling kept = sampling.topK() < rows ? sampling : sampling.withTopK(0);
        query.session().sample(query.hidden(), states, kept, seed, tokens);
        requireTokens(tokens, states, 1);
        return tokens;
    }

    double[] logSumExp(Query query, double[] target) {
        requireRoom("log-sum-exps", target.length, query.states());
        query.session().top(query.hidden(), query.states(), 0, NO_TOKENS, NO_LOGITS, target);
        requireFinite(target, query.states());
        return target;
    }

    void logits(Query query, MemorySegment target) {
        long count = (long) query.states() * rows;
        requireRoom("logits", target.byteSize() / Float.BYTES, count);
        if (target.isReadOnly() || !target.isAccessibleBy(OTHER)) {
            throw new InvalidDataException("The segment for the logits is read-only or belongs to one thread; give one"
                    + " of a shared or an automatic arena, or an array.");
        }
        query.session().logits(query.hidden(), query.states(), target);
        long bad = Finite.firstNot(target, count);
        if (bad >= 0) {
            throw notFinite((int) (bad / rows));
        }
    }

    int requireRank(int k) {
        if (k < 1 || k > rows) {
            throw new InvalidOptionException("The number of likeliest tokens k is " + k + "; for '" + name
                    + "' it must lie between 1 and " + rows + ".");
        }
        return k;
    }

    private static void requireRoom(String what, long length, long needed) {
        if (length < needed) {
            throw new InvalidDataException(
                    "There is room for " + length + " " + what + ", but " + needed + " are needed.");
        }
    }

    private void requireAnswer(int[] tokens, float[] logits, int states, int each) {
        requireFinite(logits, states, each);
        requireTokens(tokens, states, each);
    }

    /** A session that cannot tell a token says -1, and NaN of its logit. */
    private void requireTokens(int[] tokens, int states, int each) {
        for (int i = 0; i < states * each; i++) {
            if (tokens[i] < 0 || tokens[i] >= rows) {
                throw notFinite(i / each);
            }
        }
    }

    private void requireFinite(float[] numbers, int states, int each) {
        int bad = Finite.firstNot(numbers, 0, states * each);
        if (bad >= 0) {
            throw notFinite(bad / each);
        }
    }

    private void requireFinite(double[] logSumExp, int states) {
        for (int s = 0; s < states; s++) {
            if (!Double.isFinite(logSumExp[s])) {
                throw notFinite(s);
            }
        }
    }

    /** Factors, bias and hidden states were finite, so their products were not. */
    private InvalidDataException notFinite(int state) {
        return new InvalidDataException("The logits of hidden state " + state + " over '" + name
                + "' are not all finite: its numbers or those of the matrix are too large for binary32, or damaged; check"
                + " both.");
    }
}
