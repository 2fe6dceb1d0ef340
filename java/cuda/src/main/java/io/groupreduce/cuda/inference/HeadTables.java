package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.inference.HeadLayout.Table;
import io.groupreduce.cuda.inference.TilePlan.Segment;
import io.groupreduce.cuda.inference.TilePlan.Tile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/** The tables of a head as kernels read them, on the heap until they are uploaded. Numbers are in the machine's order, as on the card. */
final class HeadTables {
    private final HeadLayout layout;
    private final CompressedMatrix matrix;
    private final float[] bias;
    private final long base;
    /** The first slot of each group. */
    private final int[] firstSlot;

    /**
     * Prepares the tables.
     *
     * @param bias length N, or {@code null}
     * @param base the address of the head's memory
     */
    HeadTables(HeadLayout layout, CompressedMatrix matrix, float[] bias, long base) {
        this.layout = layout;
        this.matrix = matrix;
        this.bias = bias;
        this.base = base;
        firstSlot = layout.groups.stream().mapToInt(PackedPart::firstSlot).toArray();
    }

    /** The content of a table, which may be empty. */
    MemorySegment table(Table table) {
        return switch (table) {
            case GROUPS ->
                structures(
                        layout.groups, bias == null ? 0 : base + layout.at(Table.BIAS), base + layout.at(Table.TOKENS));
            case RIGHTS -> structures(layout.rights, 0, 0);
            case BASIS_OF ->
                MemorySegment.ofArray(
                        matrix.groups().stream().mapToInt(HeadTables::basis).toArray());
            case SEGMENTS -> segments();
            case TILES -> tiles(layout.plan.tiles);
            case RIGHT_TILES -> tiles(layout.rightTiles);
            case FIRST_SEGMENT -> MemorySegment.ofArray(layout.plan.firstSegment);
            case LOG8 -> MemorySegment.ofArray(ScaleFormat.log8Scales());
            case TOKENS -> tokens();
            case BIAS -> bias == null ? MemorySegment.ofArray(new float[0]) : biasOfSlots();
            case GROUP_OF -> MemorySegment.ofArray(matrix.groupOf());
            case SLOT_OF -> slotOf();
        };
    }

    private MemorySegment structures(List<PackedPart> parts, long biasAddress, long tokenAddress) {
        MemorySegment written = MemorySegment.ofArray(new long[parts.size() * PackedPart.STRUCTURE_BYTES / Long.BYTES]);
        for (int p = 0; p < parts.size(); p++) {
            parts.get(p).write(written, (long) p * PackedPart.STRUCTURE_BYTES, base, biasAddress, tokenAddress);
        }
        return written;
    }

    private static int basis(GroupPlan group) {
        return group.isLowRank() ? group.basis() : -1;
    }

    private static MemorySegment tiles(List<Tile> tiles) {
        MemorySegment written = MemorySegment.ofArray(new int[tiles.size() * TilePlan.STRUCTURE_BYTES / Integer.BYTES]);
        for (int t = 0; t < tiles.size(); t++) {
            long at = 3L * t;
            written.setAtIndex(ValueLayout.JAVA_INT, at, tiles.get(t).group());
            written.setAtIndex(ValueLayout.JAVA_INT, at + 1, tiles.get(t).firstStrip());
            written.setAtIndex(ValueLayout.JAVA_INT, at + 2, tiles.get(t).strips());
        }
        return written;
    }

    private MemorySegment segments() {
        List<Segment> segments = layout.plan.segments;
        MemorySegment written =
                MemorySegment.ofArray(new int[segments.size() * TilePlan.SEGMENT_BYTES / Integer.BYTES]);
        for (int i = 0; i < segments.size(); i++) {
            long at = 4L * i;
            written.setAtIndex(ValueLayout.JAVA_INT, at, segments.get(i).group());
            written.setAtIndex(ValueLayout.JAVA_INT, at + 1, segments.get(i).firstStrip());
            written.setAtIndex(ValueLayout.JAVA_INT, at + 2, segments.get(i).strips());
            written.setAtIndex(ValueLayout.JAVA_INT, at + 3, segments.get(i).firstTile());
        }
        return written;
    }

    private MemorySegment tokens() {
        int[] tokens = new int[layout.slots()];
        int[] next = firstSlot.clone();
        for (int token = 0; token < layout.rows; token++) {
            tokens[next[matrix.group(token)]++] = token;
        }
        return MemorySegment.ofArray(tokens);
    }

    private MemorySegment biasOfSlots() {
        float[] values = new float[layout.slots()];
        int[] next = firstSlot.clone();
        for (int token = 0; token < layout.rows; token++) {
            values[next[matrix.group(token)]++] = bias[token];
        }
        return MemorySegment.ofArray(values);
    }

    private MemorySegment slotOf() {
        int[] slots = new int[layout.rows];
        int[] next = new int[firstSlot.length];
        Arrays.setAll(slots, token -> next[matrix.group(token)]++);
        return MemorySegment.ofArray(slots);
    }
}
