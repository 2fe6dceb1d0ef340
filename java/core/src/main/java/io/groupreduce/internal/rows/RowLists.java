package io.groupreduce.internal.rows;

/**
 * Rows sorted by a key, in the order of their numbers within a key.
 *
 * @param order row numbers; those of key k are {@code order[starts[k] .. starts[k + 1])}
 * @param starts one more than there are keys
 */
public record RowLists(int[] order, int[] starts) {
    /**
     * Sorts by counting.
     *
     * @param keyOf the key of every row as an unsigned byte; rows of other keys than 0 .. keys - 1 are left out
     */
    public static RowLists of(byte[] keyOf, int keys) {
        int[] starts = new int[keys + 1];
        for (byte key : keyOf) {
            if ((key & 0xff) < keys) {
                starts[(key & 0xff) + 1]++;
            }
        }
        for (int k = 0; k < keys; k++) {
            starts[k + 1] += starts[k];
        }
        int[] order = new int[starts[keys]];
        int[] next = starts.clone();
        for (int i = 0; i < keyOf.length; i++) {
            int key = keyOf[i] & 0xff;
            if (key < keys) {
                order[next[key]++] = i;
            }
        }
        return new RowLists(order, starts);
    }

    /** Rows in all lists. */
    public int rows() {
        return order.length;
    }

    /** Where the rows of a key begin in {@link #order}. */
    public int start(int key) {
        return starts[key];
    }

    /** How many rows a key has. */
    public int count(int key) {
        return starts[key + 1] - starts[key];
    }
}
