package io.groupreduce.benchmarks.head;

import java.util.Arrays;

/** The {@link Head#TOP} largest of what was offered in rising order of positions, best first; of equals the earlier stays. */
final class TopList {
    final float[] values = new float[Head.TOP];
    final int[] positions = new int[Head.TOP];

    /** What must be exceeded to get in. */
    float least() {
        return values[Head.TOP - 1];
    }

    void clear() {
        Arrays.fill(values, Float.NEGATIVE_INFINITY);
        Arrays.fill(positions, -1);
    }

    void offer(float value, int position) {
        if (!(value > least())) {
            return;
        }
        int at = Head.TOP - 1;
        for (; at > 0 && value > values[at - 1]; at--) {
            values[at] = values[at - 1];
            positions[at] = positions[at - 1];
        }
        values[at] = value;
        positions[at] = position;
    }

    /** Takes in a list over later positions. */
    void offerAll(TopList later) {
        for (int i = 0; i < Head.TOP; i++) {
            offer(later.values[i], later.positions[i]);
        }
    }
}
