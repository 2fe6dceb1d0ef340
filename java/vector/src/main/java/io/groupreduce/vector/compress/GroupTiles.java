package io.groupreduce.vector.compress;

import io.groupreduce.internal.rows.RowLists;

/**
 * The rows sorted by group, in order inside a group, and cut into tiles that do not cross groups: one tile is one task.
 */
public final class GroupTiles {
    private final RowLists lists;
    private final int[] firsts;
    private final int[] groups;

    /**
     * Sorts and cuts.
     *
     * @param groupOf the group of every row as an unsigned byte
     * @param groupCount the number of groups
     * @param tileRows the most rows of a tile
     */
    public GroupTiles(byte[] groupOf, int groupCount, int tileRows) {
        lists = RowLists.of(groupOf, groupCount);
        int tiles = 0;
        for (int g = 0; g < groupCount; g++) {
            tiles += Math.ceilDiv(lists.count(g), tileRows);
        }
        firsts = new int[tiles + 1];
        groups = new int[tiles];
        int t = 0;
        for (int g = 0; g < groupCount; g++) {
            for (int first = lists.start(g); first < lists.start(g + 1); first += tileRows) {
                firsts[t] = first;
                groups[t++] = g;
            }
        }
        firsts[t] = lists.rows();
    }

    public int count() {
        return groups.length;
    }

    /** The group that all rows of a tile belong to. */
    public int group(int tile) {
        return groups[tile];
    }

    /** Where the tile's rows begin in {@link #order}. */
    public int first(int tile) {
        return firsts[tile];
    }

    public int rows(int tile) {
        return firsts[tile + 1] - firsts[tile];
    }

    /** The place of the tile's first row in its group's matrix. */
    public int slot(int tile) {
        return firsts[tile] - lists.start(groups[tile]);
    }

    /** Row numbers, sorted by group. */
    public int[] order() {
        return lists.order();
    }
}
