package io.groupreduce.cuda.inference;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How a pass over the groups of a head is cut into tiles, and which blocks of threads take which.
 *
 * <p>Groups that read the same coordinates in the same form stand next to each other, the widest first, so that a block of threads
 * loads an operand seldom. Blocks take contiguous ranges of about equal cost.
 *
 * <p>Only the ragged end of a group makes a tile of fewer strips than there are warps: a warp has so many bytes on their way at a time, so a
 * smaller tile would not end sooner, it would leave warps idle.
 */
final class TilePlan {
    /** Strips of a tile: one a warp. */
    static final int TILE_STRIPS = 8;

    /** Rows of a tile. */
    static final int TILE_ROWS = TILE_STRIPS * PackedPart.STRIP;

    /** Bytes of the {@code GrTile} structure. */
    static final int STRUCTURE_BYTES = 12;

    /**
     * What the end of a tile costs (exponentials, maxima, a meeting of the warps), in bytes that could be read meanwhile. By estimate, to
     * be measured.
     */
    private static final long TILE_END_BYTES = 8 << 10;

    /** Some strips of one group. */
    record Tile(int group, int firstStrip, int strips) {}

    private final List<PackedPart> groups;
    private final List<Tile> tiles = new ArrayList<>();
    private final int[] firstTile;

    /** Cuts groups for so many blocks of threads at most. */
    TilePlan(List<PackedPart> groups, int mostBlocks) {
        this.groups = groups;
        IntStream.range(0, groups.size())
                .boxed()
                .sorted(Comparator.comparingInt((Integer g) -> groups.get(g).operand())
                        .thenComparing(g -> groups.get(g).takesHalves())
                        .thenComparingInt(g -> -groups.get(g).width()))
                .forEach(this::cut);
        firstTile = ranges(Math.min(mostBlocks, tiles.size()));
    }

    private void cut(int group) {
        int strips = groups.get(group).strips();
        for (int strip = 0; strip < strips; strip += TILE_STRIPS) {
            tiles.add(new Tile(group, strip, Math.min(TILE_STRIPS, strips - strip)));
        }
    }

    private int[] ranges(int blocks) {
        double total = tiles.stream().mapToLong(this::cost).sum();
        int[] first = new int[blocks + 1];
        int tile = 0;
        long before = 0;
        for (int block = 1; block < blocks; block++) {
            double goal = total * block / blocks;
            int last = tiles.size() - (blocks - block);
            do {
                before += cost(tiles.get(tile++));
                // Half a tile over is as good as half a tile short.
            } while (tile < last && before + cost(tiles.get(tile)) / 2 <= goal);
            first[block] = tile;
        }
        first[blocks] = tiles.size();
        return first;
    }

    /** The time of a tile, which is that of one strip whatever their number, in bytes; and what stands for its end. */
    long cost(Tile tile) {
        return TILE_STRIPS * groups.get(tile.group()).stripBytes() + TILE_END_BYTES;
    }

    /** In the order in which they are taken. */
    List<Tile> tiles() {
        return tiles;
    }

    /** Blocks of threads that a pass takes. */
    int blocks() {
        return firstTile.length - 1;
    }

    /** The first tile of every block, each of which has one at least, and the end. */
    int[] firstTile() {
        return firstTile;
    }
}
