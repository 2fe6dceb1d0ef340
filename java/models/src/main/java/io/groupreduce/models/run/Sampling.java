package io.groupreduce.models.run;

/**
 * Which positions of which sequences are kept: as many of each sequence as of any other, evenly spaced in it, and beginning elsewhere in
 * each. A matter of numbers alone, so that it is the same in every run.
 */
final class Sampling {
    /** A model of masked tokens is trained with such a share of them. */
    private static final double MASKED = 0.15;

    /** Neighbours have much in common, so no more than a half of a text's positions are kept while there is other text. */
    private static final int SPREAD = 2;

    private static final double GOLDEN = 0.6180339887498949;

    private final int usable;
    private final boolean masked;
    private final int states;
    private final int sequences;

    /**
     * @param content tokens of text in a sequence
     * @param available sequences that the texts fill
     * @param wanted the most states
     * @param masked whether the kept positions are masked; else each needs one that follows
     */
    Sampling(int content, long available, int wanted, boolean masked) {
        this.masked = masked;
        usable = masked ? content : content - 1;
        int most = masked ? (int) Math.max(1, Math.round(MASKED * usable)) : usable;
        states = (int) Math.min(wanted, available * most);
        long each = masked ? most : Math.ceilDiv(most, SPREAD);
        sequences = (int) Math.min(Math.min(available, states), Math.ceilDiv(states, each));
    }

    int states() {
        return states;
    }

    int sequences() {
        return sequences;
    }

    /** States of all sequences before one. */
    int before(int sequence) {
        return (int) ((long) sequence * states / sequences);
    }

    /** Rising positions in a sequence's text. */
    int[] positions(int sequence) {
        int count = before(sequence + 1) - before(sequence);
        double shift = sequence * GOLDEN % 1;
        int[] positions = new int[count];
        for (int i = 0; i < count; i++) {
            positions[i] = (int) ((i + shift) * usable / count);
        }
        return positions;
    }

    boolean masked() {
        return masked;
    }

    @Override
    public String toString() {
        return states + " states of " + sequences + " sequences, " + (masked ? "masked" : "next");
    }
}
