package io.groupreduce.internal.select;

import java.lang.foreign.MemorySegment;

/**
 * All logits of one hidden state, and the best of them: for lists so long that keeping them sorted token by token would
 * cost more. For one thread at a time.
 */
public final class FullRanking {
    private final int vocabulary;
    private final Ranking ranking = new Ranking();
    private float[] logits;
    private MemorySegment target;

    /**
     * Takes no memory yet.
     *
     * @param vocabulary tokens
     */
    public FullRanking(int vocabulary) {
        this.vocabulary = vocabulary;
    }

    /** Where the logits go, by token: binary32 [vocabulary], always the same memory, taken at the first call. */
    public MemorySegment target() {
        if (target == null) {
            logits = new float[vocabulary];
            target = MemorySegment.ofArray(logits);
        }
        return target;
    }

    /**
     * Selects from the logits that are in {@link #target}, once that was asked for.
     *
     * @param k 0 to {@code vocabulary}
     * @return k places, until the next call
     */
    public Ranking best(int k) {
        return ranking.select(logits, vocabulary, k);
    }
}
