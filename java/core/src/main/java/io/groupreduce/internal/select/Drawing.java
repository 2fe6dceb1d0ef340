package io.groupreduce.internal.select;

import io.groupreduce.api.Sampling;

/**
 * Draws one token from a list of likeliest ones, in double precision: what top-k, top-p and min-p leave of them, then the Gumbel-max
 * rule. Where the list does not tell, {@link WholeDraw} does with all logits.
 */
public final class Drawing {
    /** No place of a list. */
    public static final int NONE = -1;

    /** Tokens of a list that is taken where there is no top-k. */
    public static final int FIRST_LIST = 64;

    /** Relative to the sum, what may be missing of it. */
    private static final double NEGLIGIBLE = 1e-12;

    private Drawing() {}

    /**
     * Draws a token.
     *
     * @param tokens the likeliest, best first
     * @param logits theirs
     * @param count how many; at most as many as top-k leaves
     * @param missing how many less likely tokens might stay but are not listed; 0 if the list holds all that top-k leaves
     * @param total of {@code exp((logit - largest) / temperature)} over all tokens, with the largest of the list; only looked at where tokens
     *     are missing
     * @param key of the noise
     * @return its place; {@link #NONE} if the list does not tell
     */
    public static int draw(
            int[] tokens, float[] logits, int count, long missing, double total, Sampling sampling, long key) {
        int kept = kept(logits, count, missing, total, sampling);
        int best = NONE;
        double most = 0;
        for (int place = 0; place < kept; place++) {
            double value = scaled(logits, place, sampling) + GumbelNoise.of(GumbelNoise.hash(key, tokens[place]));
            if (best == NONE || value > most || value == most && tokens[place] < tokens[best]) {
                best = place;
                most = value;
            }
        }
        return best;
    }

    /** How many places top-p and min-p leave; 0 if the list does not tell. */
    private static int kept(float[] logits, int count, long missing, double total, Sampling sampling) {
        double goal = sampling.topP() < 1
                ? sampling.topP() * sum(logits, count, missing, total, sampling)
                : Double.POSITIVE_INFINITY;
        double reached = 0;
        for (int place = 0; place < count; place++) {
            double share = Math.exp(scaled(logits, place, sampling));
            if (share < sampling.minP()) {
                return place;
            }
            reached += share;
            if (reached >= goal) {
                return place + 1;
            }
        }
        return missing == 0 ? count : 0;
    }

    private static double sum(float[] logits, int count, long missing, double total, Sampling sampling) {
        double listed = 0;
        double share = 0;
        for (int place = 0; place < count; place++) {
            share = Math.exp(scaled(logits, place, sampling));
            listed += share;
        }
        return missing * share <= NEGLIGIBLE * listed ? listed : Math.max(total, listed);
    }

    /** Less the largest logit, so that no temperature makes it infinite; that moves all tokens alike. */
    private static double scaled(float[] logits, int place, Sampling sampling) {
        return ((double) logits[place] - logits[0]) / sampling.temperature();
    }
}
