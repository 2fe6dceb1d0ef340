package io.groupreduce.cuda.inference;

/**
 * What is asked about some hidden states in one pass.
 *
 * @param scanned whether all logits are gone through at all; otherwise only targets are scored
 * @param listed likeliest tokens wanted: 0 to {@link #MOST_LISTED}
 * @param target whether the logits of given tokens are wanted
 * @param everyLogit whether all logits are to be written to device memory
 * @param softmaxScale what logits are multiplied by before they are summed up: 1 for the log-sum-exp
 * @param noiseScale what logits are multiplied by before noise is added; 0 where nothing is drawn
 * @param shifted whether a number per state is taken off before
 * @param floored whether logits below a number per state are not drawn
 */
record Question(
        boolean scanned,
        int listed,
        boolean target,
        boolean everyLogit,
        float softmaxScale,
        double noiseScale,
        boolean shifted,
        boolean floored) {
    /** The longest list that kernels select: GR_MOST_SELECTED. */
    static final int MOST_LISTED = 1024;

    /** The k likeliest tokens and the log-sum-exp of logits times {@code scale}. */
    static Question top(int k, float scale) {
        return new Question(true, k, false, false, scale, 0, false, false);
    }

    /** The logits of given tokens, and the log-sum-exp when it is wanted. */
    static Question score(boolean summed) {
        return new Question(summed, 0, true, false, 1, 0, false, false);
    }

    /** All logits. */
    static Question logits() {
        return new Question(true, 0, false, true, 1, 0, false, false);
    }

    /** A draw; {@code scale} is 1 / temperature. */
    static Question draw(double scale, boolean shifted, boolean floored) {
        return new Question(true, 0, false, false, 1, scale, shifted, floored);
    }

    boolean drawn() {
        return noiseScale != 0;
    }
}
