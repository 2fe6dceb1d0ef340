package io.groupreduce.vector;

/**
 * The rows sorted by group, in order inside a group, and cut into tiles that do not cross groups: one tile is one task.
 */
final class GroupTiles {
    private final int[] order;
    private final int[] starts;
    private final int[] firsts;
    private final int[] groups;

    /**
     * Sorts and cuts.
     *
     * @param groupOf the group of every row as an unsigned byte
     * @param groupCount the number of groups
     * @param tileRows the most rows of a tile
     */
    GroupTiles(byte[] groupOf, int groupCount, int tileRows) {
        starts = new int[groupCount + 1];
        for (byte g : groupOf) {
            starts[(g & 0xff) + 1]++;
        }
        int tiles = 0;
        for (int g = 0; g < groupCount; g++) {
            tiles += Math.ceilDiv(starts[g + 1], tileRows);
            starts[g + 1] += starts[g];
        }
        order = new int[groupOf.length];
        int[] next = starts.clone();
        for (int i = 0; i < groupOf.length; i++) {
            order[next[groupOf[i] & 0xff]++] = i;
        }
        firsts = new int[tiles + 1];
        groups = new int[tiles];
        int t = 0;
        for (int g = 0; g < groupCount; g++) {
            for (int first = starts[g]; first < starts[g + 1]; first += tileRows) {
                firsts[t] = first;
                groups[t++] = g;
            }
        }
        firsts[t] = groupOf.length;
    }

    int count() {
        return groups.length;
    }

    /** The group that all rows of a tile belong to. */
    int group(int tile) {
        return groups[tile];
    }

    /** Where the tile's rows begin in {@link #order}. */
    int first(int tile) {
        return firsts[tile];
    }

    int rows(int tile) {
        return firsts[tile + 1] - firsts[tile];
    }

    /** The place of the tile's first row in its group's matrix. */
    int slot(int tile) {
        return firsts[tile] - starts[groups[tile]];
    }

    /** Row numbers, sorted by group. */
    int[] order() {
        return order;
    }
}
