package io.groupreduce.cuda.inference;

import java.util.ArrayList;
import java.util.List;

/**
 * How a pass over the groups of a head is cut: every block of threads takes a contiguous range of strips of about equal cost, group after
 * group, and within a group every warp of it a contiguous part. What a warp does of a group is cut into tiles, whose maxima are known.
 *
 * <p>Strips are given out in rows of eight, one a warp: a warp has so many bytes on their way at a time, so a block that had fewer
 * would not end sooner, it would leave warps idle.
 */
final class TilePlan {
    /** Warps of a block of threads. */
    private static final int WARPS = 8;

    /** The most strips of a tile. */
    static final int TILE_STRIPS = 8;

    /** The most rows of a tile. */
    static final int TILE_ROWS = TILE_STRIPS * PackedPart.STRIP;

    /** Bytes of the {@code GrTile} structure. */
    static final int STRUCTURE_BYTES = 12;

    /** Bytes of the {@code GrSegment} structure. */
    static final int SEGMENT_BYTES = 16;

    /** What a strip costs beside its bytes (exponentials, maxima, scales), in bytes that could be read meanwhile. By estimate, to be measured. */
    private static final long STRIP_END_BYTES = 1 << 10;

    /** Some strips of one group, which one warp takes; perhaps none. */
    record Tile(int group, int firstStrip, int strips) {}

    /** Some strips of one group, which one block of threads takes; warp w has the tiles firstTile + w n .. firstTile + w n + n - 1. */
    record Segment(int group, int firstStrip, int strips, int firstTile) {}

    private final List<PackedPart> groups;
    /** In the order in which they are taken. */
    final List<Segment> segments = new ArrayList<>();

    final List<Tile> tiles = new ArrayList<>();
    /** The first segment of every block, each of which has one at least, and the end. */
    final int[] firstSegment;

    /** Cuts groups for so many blocks of threads at most. */
    TilePlan(List<PackedPart> groups, int mostBlocks) {
        this.groups = groups;
        int rows = groups.stream().mapToInt(TilePlan::warpRows).sum();
        double total = 0;
        for (int g = 0; g < groups.size(); g++) {
            total += (double) warpRows(groups.get(g)) * cost(g);
        }
        int blocks = Math.min(mostBlocks, rows);
        firstSegment = new int[blocks + 1];
        int group = 0;
        int taken = 0;
        double before = 0;
        for (int block = 0; block < blocks; block++) {
            firstSegment[block] = segments.size();
            double goal = total * (block + 1) / blocks;
            // The blocks behind have a row each at least.
            int most = rows - (blocks - block - 1);
            boolean any = false;
            while (group < groups.size()) {
                int left = warpRows(groups.get(group)) - taken;
                // Half a row over is as good as half a row short.
                long wanted = block == blocks - 1 ? left : Math.round((goal - before) / cost(group));
                int count = Math.toIntExact(Math.clamp(wanted, any || left == 0 ? 0 : 1, Math.min(left, most)));
                add(group, taken, count);
                any |= count > 0;
                before += (double) count * cost(group);
                rows -= count;
                most -= count;
                taken += count;
                if (count < left) {
                    break;
                }
                group++;
                taken = 0;
            }
        }
        firstSegment[blocks] = segments.size();
    }

    /** Strips of a group, eight at a time. */
    private static int warpRows(PackedPart group) {
        return Math.ceilDiv(group.strips(), WARPS);
    }

    private void add(int group, int firstRow, int count) {
        int first = firstRow * WARPS;
        int strips = Math.min(count * WARPS, groups.get(group).strips() - first);
        if (strips <= 0) {
            return;
        }
        segments.add(new Segment(group, first, strips, tiles.size()));
        for (int warp = 0; warp < WARPS; warp++) {
            int end = first + (warp + 1) * strips / WARPS;
            int at = first + warp * strips / WARPS;
            for (int t = 0; t < Math.ceilDiv(count, TILE_STRIPS); t++, at += TILE_STRIPS) {
                tiles.add(new Tile(group, at, Math.clamp(end - at, 0, TILE_STRIPS)));
            }
        }
    }

    /** The time of eight strips, which is that of one whatever their number, in bytes; and what stands for their end. */
    long cost(int group) {
        return WARPS * (groups.get(group).stripBytes() + STRIP_END_BYTES);
    }

    /** Blocks of threads that a pass takes. */
    int blocks() {
        return firstSegment.length - 1;
    }
}
