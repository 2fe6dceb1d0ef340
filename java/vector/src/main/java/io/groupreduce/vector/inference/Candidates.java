package io.groupreduce.vector.inference;

import io.groupreduce.api.Sampling;
import io.groupreduce.internal.select.FullRanking;

/** The likeliest tokens of one hidden state, best first, and the draw from those that top-p and min-p leave. */
final class Candidates {
    /** What a list without a top-k begins with. */
    static final int FIRST_LIST = 64;

    private final NoiseSearch noise = new NoiseSearch();
    private float[] logits = new float[0];
    private int[] tokens = new int[0];
    private int count;

    /** The first k of a state's list. */
    Candidates of(Ranking ranking, int state, int k) {
        reserve(k);
        for (int i = 0; i < k; i++) {
            logits[i] = ranking.logit(state, i);
            tokens[i] = ranking.token(state, i);
        }
        return this;
    }

    /** The first k of all. */
    Candidates of(FullRanking ranking, int k) {
        reserve(k);
        ranking.best(k).copyTo(tokens, logits, 0);
        return this;
    }

    private void reserve(int k) {
        count = k;
        if (logits.length < k) {
            logits = new float[k];
            tokens = new int[k];
        }
    }

    /**
     * Draws a token.
     *
     * @param sum of exp((logit - largest) / temperature) over the vocabulary, where that is not whole
     * @param whole whether these are all the tokens that can stay
     * @return {@link NoiseSearch#NONE} if tokens may be missing, or no logit is a number
     */
    int draw(Sampling sampling, double sum, boolean whole, long seed, int place) {
        double total = sum;
        if (whole) {
            total = 0;
            for (int i = 0; i < count; i++) {
                total += share(i, sampling.temperature());
            }
        }
        int kept = 0;
        boolean complete = whole;
        double reached = 0;
        while (kept < count) {
            double share = share(kept, sampling.temperature());
            if (kept > 0 && (share < sampling.minP() || sampling.topP() < 1 && reached >= sampling.topP() * total)) {
                complete = true;
                break;
            }
            reached += share;
            kept++;
        }
        if (sampling.topP() < 1 && reached >= sampling.topP() * total) {
            complete = true;
        }
        if (!complete) {
            return NoiseSearch.NONE;
        }
        noise.start(1, seed, place, sampling.temperature());
        for (int i = 0; i < kept; i++) {
            noise.offer(0, logits[i], tokens[i]);
        }
        return noise.token(0);
    }

    private double share(int rank, double temperature) {
        return Math.exp(((double) logits[rank] - logits[0]) / temperature);
    }
}
