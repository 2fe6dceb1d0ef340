package io.groupreduce.cuda.inference;

import io.groupreduce.api.Sampling;
import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.internal.select.Ranking;

/**
 * Draws one token from a list of likeliest ones, in double precision: the twin of the reference's draw, which has all tokens in its list.
 */
final class Drawing {
    /** No token. */
    static final int NONE = -1;

    /** Relative to the sum, what may be missing of it. */
    private static final double NEGLIGIBLE = 1e-12;

    private Drawing() {}

    /**
     * Draws a token.
     *
     * @param list the likeliest tokens
     * @param missing how many less likely tokens might stay but are not listed; 0 if the list holds all that top-k leaves
     * @param total of {@code exp((logit - largest) / temperature)} over all tokens; only looked at where tokens are missing, NaN if it
     *     is not known
     * @param key of the hidden state
     * @return {@link #NONE} if the list does not tell
     */
    static int draw(Ranking list, long missing, double total, Sampling sampling, long key) {
        int kept = kept(list, missing, total, sampling);
        int best = NONE;
        double most = 0;
        for (int place = 0; place < kept; place++) {
            int token = list.tokens()[place];
            double value = scaled(list, place, sampling) + GumbelNoise.of(GumbelNoise.hash(key, token));
            if (best == NONE || value > most || value == most && token < best) {
                best = token;
                most = value;
            }
        }
        return best;
    }

    /** How many places top-p and min-p leave; 0 if the list does not tell. */
    private static int kept(Ranking list, long missing, double total, Sampling sampling) {
        double goal = Double.POSITIVE_INFINITY;
        if (sampling.topP() < 1) {
            goal = sampling.topP() * sum(list, missing, total, sampling);
            if (Double.isNaN(goal)) {
                return 0;
            }
        }
        double reached = 0;
        for (int place = 0; place < list.count(); place++) {
            double share = Math.exp(scaled(list, place, sampling));
            if (share < sampling.minP()) {
                return place;
            }
            reached += share;
            if (reached >= goal) {
                return place + 1;
            }
        }
        return missing == 0 ? list.count() : 0;
    }

    private static double sum(Ranking list, long missing, double total, Sampling sampling) {
        double listed = 0;
        double share = 0;
        for (int place = 0; place < list.count(); place++) {
            share = Math.exp(scaled(list, place, sampling));
            listed += share;
        }
        return missing * share <= NEGLIGIBLE * listed ? listed : Math.max(total, listed);
    }

    /** Less the largest logit, so that no temperature makes it infinite; that moves all tokens alike. */
    private static double scaled(Ranking list, int place, Sampling sampling) {
        return ((double) list.logits()[place] - list.logits()[0]) / sampling.temperature();
    }
}
