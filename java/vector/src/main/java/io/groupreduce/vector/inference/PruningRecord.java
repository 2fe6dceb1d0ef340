package io.groupreduce.vector.inference;

import io.groupreduce.api.Pruning;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Whether bounds pay on the hidden states that come: they are used while they leave out a fifth of the multiplications, which is
 * what looking at them costs and a little more, and tried again now and then where they did not.
 */
final class PruningRecord {
    private static final int TRIED = 32;
    private static final int PAUSE = 2048;
    private static final double ENOUGH = 0.2;
    private static final int UNIT = 1 << 20;

    private final Pruning pruning;
    private final AtomicInteger queries = new AtomicInteger();
    private final AtomicInteger left = new AtomicInteger();

    PruningRecord(Pruning pruning) {
        this.pruning = pruning;
    }

    /** Whether the next query should use bounds. */
    boolean worthTrying() {
        if (pruning != Pruning.AUTO) {
            return pruning == Pruning.ALWAYS;
        }
        // Below zero: a pause, counted up query by query.
        return queries.get() >= 0 || queries.incrementAndGet() >= 0;
    }

    /** Takes note of a query that used bounds and made this share of the multiplications. */
    void add(double made) {
        int sum = left.addAndGet((int) ((1 - made) * (UNIT / TRIED)));
        if (pruning == Pruning.AUTO && queries.incrementAndGet() == TRIED) {
            left.addAndGet(-sum);
            queries.set(sum < ENOUGH * UNIT ? -PAUSE : 0);
        }
    }
}
