package io.groupreduce.vector.inference;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** All logits of one hidden state, sorted: for lists so long that keeping them sorted token by token would cost more. */
final class FullRanking {
    private static final long LOW = 0xFFFFFFFFL;

    private final int count;
    private float[] logits;
    private MemorySegment target;
    private long[] order;

    FullRanking(int count) {
        this.count = count;
    }

    /** Memory is only taken once it is needed. */
    void reserve() {
        if (logits == null) {
            logits = new float[count];
            target = MemorySegment.ofArray(logits);
            order = new long[count];
        }
    }

    /** Where the logits go. */
    MemorySegment target() {
        return target;
    }

    /** Best first, ties to the lower token. */
    void sort() {
        for (int token = 0; token < count; token++) {
            // Adding 0 turns -0 into 0, which ties with it.
            int bits = Float.floatToIntBits(logits[token] + 0f);
            int rising = bits < 0 ? ~bits : bits | Integer.MIN_VALUE;
            order[token] = (~rising & LOW) << 32 | token;
        }
        // Unsigned numbers in the upper half: turning the sign over sorts them as they are.
        for (int i = 0; i < count; i++) {
            order[i] ^= Long.MIN_VALUE;
        }
        Arrays.sort(order);
    }

    int token(int rank) {
        return (int) order[rank];
    }

    float logit(int rank) {
        return logits[token(rank)];
    }

    void copyTo(int k, int[] tokens, float[] values, int offset) {
        for (int rank = 0; rank < k; rank++) {
            tokens[offset + rank] = token(rank);
            values[offset + rank] = logit(rank);
        }
    }
}
