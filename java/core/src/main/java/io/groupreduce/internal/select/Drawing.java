package io.groupreduce.internal.select;

import io.groupreduce.api.Sampling;

/**
 * Draws one token from a list of likeliest ones, in double precision: what top-k, top-p and min-p leave of them, then the Gumbel-max
 * rule. Twin: the reference's draw, which is written by itself and has all tokens in its list.
 */
public final class Drawing {
    /** No token. */
    public static final int NONE = -1;

    /** Tokens of a list to begin with where there is no top-k; a longer one is taken where it does not tell. */
    public static final int FIRST_LIST = 64;

    /** Relative to the sum, what may be missing of it. */
    private static final double NEGLIGIBLE = 1e-12;

    private Drawing() {}

    /**
     * Draws a token.
     *
     * @param list the likeliest tokens of some hidden states
     * @param state which of them draws
     * @param missing how many less likely tokens might stay but are not listed; 0 if the list holds all that top-k leaves
     * @param total of {@code exp((logit - largest) / temperature)} over all tokens; only looked at where tokens are missing, NaN if it
     *     is not known
     * @param key of the hidden state
     * @return {@link #NONE} if the list does not tell, or its largest logit is beyond binary32
     */
    public static int draw(Ranking list, int state, long missing, double total, Sampling sampling, long key) {
        int kept = kept(list, state, missing, total, sampling);
        int best = NONE;
        double most = 0;
        for (int place = 0; place < kept; place++) {
            int token = list.token(state, place);
            double value = scaled(list, state, place, sampling) + GumbelNoise.of(GumbelNoise.hash(key, token));
            if (best == NONE || value > most || value == most && token < best) {
                best = token;
                most = value;
            }
        }
        return best;
    }

    /** How many places top-p and min-p leave; 0 if the list does not tell. */
    private static int kept(Ranking list, int state, long missing, double total, Sampling sampling) {
        if (!Float.isFinite(list.logit(state, 0))) {
            return 0;
        }
        double goal = Double.POSITIVE_INFINITY;
        if (sampling.topP() < 1) {
            goal = sampling.topP() * sum(list, state, missing, total, sampling);
            if (Double.isNaN(goal)) {
                return 0;
            }
        }
        double reached = 0;
        for (int place = 0; place < list.k(); place++) {
            double share = Math.exp(scaled(list, state, place, sampling));
            if (share < sampling.minP()) {
                return place;
            }
            reached += share;
            if (reached >= goal) {
                return place + 1;
            }
        }
        return missing == 0 ? list.k() : 0;
    }

    private static double sum(Ranking list, int state, long missing, double total, Sampling sampling) {
        double listed = 0;
        double share = 0;
        for (int place = 0; place < list.k(); place++) {
            share = Math.exp(scaled(list, state, place, sampling));
            listed += share;
        }
        return missing * share <= NEGLIGIBLE * listed ? listed : Math.max(total, listed);
    }

    /** Less the largest logit, so that no temperature makes it infinite; that moves all tokens alike. */
    private static double scaled(Ranking list, int state, int place, Sampling sampling) {
        return ((double) list.logit(state, place) - list.logit(state, 0)) / sampling.temperature();
    }
}
