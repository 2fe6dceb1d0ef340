package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.inference.TilePlan.Tile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Where the parts of a compressed matrix lie in one block of device memory: computed from shapes alone, so that memory is known before
 * any is asked for. Packed parts come first, then the tables.
 */
final class HeadLayout {
    /** Every part of the head starts at a multiple of this many bytes. */
    static final int ALIGNMENT = 256;

    /** Scales of {@link io.groupreduce.matrix.ScaleFormat#LOG8}. */
    static final int LOG8_SCALES = 256;

    /** Stored rows are brought to the card in pieces of at most this, but for a single strip. */
    private static final long PIECE_BYTES = 16 << 20;

    /** What kernels look things up in. */
    enum Table {
        /** A {@code GrPacked} for each group. */
        GROUPS,
        /** A {@code GrPacked} for each right factor. */
        RIGHTS,
        /** The basis of each group, -1 for none. */
        BASIS_OF,
        /** A {@code GrSegment} for each segment of the groups. */
        SEGMENTS,
        /** A {@code GrTile} for each tile of the groups. */
        TILES,
        /** A {@code GrTile} for each strip of the right factors. */
        RIGHT_TILES,
        /** The first segment of each block of threads, and the end. */
        FIRST_SEGMENT,
        /** The scales of the bytes of LOG8. */
        LOG8,
        /** Tokens by slot. */
        TOKENS,
        /** Bias by slot; empty without one. */
        BIAS,
        /** Groups by token, one byte each. */
        GROUP_OF,
        /** Slots by token, counted within their group. */
        SLOT_OF
    }

    /** N. */
    final int rows;
    /** D. */
    final int columns;

    private final boolean biased;
    final List<PackedPart> rights = new ArrayList<>();
    final List<PackedPart> groups = new ArrayList<>();
    /** Strips of the right factors; a tile's group is the number of the basis. */
    final List<Tile> rightTiles = new ArrayList<>();
    /** The segments and tiles of the groups. */
    final TilePlan plan;

    private final Map<Table, Long> tables = new EnumMap<>(Table.class);
    private int directions;
    private int slots;
    private long bytes;

    /**
     * Lays a matrix out.
     *
     * @param biased whether there is a bias
     * @param mostBlocks blocks of threads that run at a time
     */
    HeadLayout(CompressedMatrix matrix, boolean biased, int mostBlocks) {
        this.rows = matrix.rows();
        this.columns = matrix.columns();
        this.biased = biased;
        for (int b = 0; b < matrix.bases(); b++) {
            addRight(b, matrix.right(b));
        }
        int[] sizes = matrix.groupSizes();
        for (int g = 0; g < sizes.length; g++) {
            addGroup(matrix.groups().get(g), sizes[g], matrix.left(g));
        }
        plan = new TilePlan(groups, mostBlocks);
        for (Table table : Table.values()) {
            tables.put(table, place(bytes(table)));
        }
    }

    private void addRight(int basis, EncodedMatrix stored) {
        PackedPart part = part(stored, Math.toIntExact(stored.rows()), directions, 0);
        rights.add(part);
        directions += part.strips() * PackedPart.STRIP;
        for (int strip = 0; strip < part.strips(); strip++) {
            rightTiles.add(new Tile(basis, strip, 1));
        }
    }

    private void addGroup(GroupPlan group, int count, EncodedMatrix stored) {
        int operand = group.isLowRank() ? rights.get(group.basis()).operand() : PackedPart.HIDDEN;
        PackedPart part = part(stored, count, operand, slots);
        groups.add(part);
        slots += part.strips() * PackedPart.STRIP;
    }

    private PackedPart part(EncodedMatrix stored, int count, int operand, int firstSlot) {
        boolean empty = stored == null || count == 0;
        long codes = empty ? PackedPart.NONE : place(PackedPart.packedBytes(stored));
        long scales = empty || !stored.profile().scaled() ? PackedPart.NONE : place(PackedPart.scaleBytes(stored));
        return new PackedPart(stored, count, operand, codes, scales, firstSlot);
    }

    private long place(long length) {
        long at = bytes;
        bytes = Math.ceilDiv(at + length, ALIGNMENT) * ALIGNMENT;
        return at;
    }

    private long bytes(Table table) {
        return switch (table) {
            case GROUPS -> (long) groups.size() * PackedPart.STRUCTURE_BYTES;
            case RIGHTS -> (long) rights.size() * PackedPart.STRUCTURE_BYTES;
            case BASIS_OF -> (long) groups.size() * Integer.BYTES;
            case SEGMENTS -> (long) plan.segments.size() * TilePlan.SEGMENT_BYTES;
            case TILES -> (long) plan.tiles.size() * TilePlan.STRUCTURE_BYTES;
            case RIGHT_TILES -> (long) rightTiles.size() * TilePlan.STRUCTURE_BYTES;
            case FIRST_SEGMENT -> (plan.blocks() + 1L) * Integer.BYTES;
            case LOG8 -> (long) LOG8_SCALES * Float.BYTES;
            case TOKENS -> (long) slots * Integer.BYTES;
            case BIAS -> biased ? (long) slots * Float.BYTES : 0;
            case GROUP_OF -> rows;
            case SLOT_OF -> (long) rows * Integer.BYTES;
        };
    }

    /** Device memory of the whole head. */
    long bytes() {
        return bytes;
    }

    /** Device memory of the pieces of stored rows while the head is loaded. */
    long pieceBytes() {
        long most = 1;
        for (List<PackedPart> parts : List.of(rights, groups)) {
            for (PackedPart part : parts) {
                most = Math.max(most, Math.min(part.rows(), pieceRows(part)) * part.rowBytes());
            }
        }
        return most;
    }

    /** Rows of a part that are brought to the card at a time: whole strips. */
    static int pieceRows(PackedPart part) {
        long strips = PIECE_BYTES / Math.max(1, part.rowBytes() * PackedPart.STRIP);
        return Math.clamp(strips, 1, Math.max(1, part.strips())) * PackedPart.STRIP;
    }

    /** Coordinates of a state in all bases, each padded to 32. */
    int directions() {
        return directions;
    }

    /** Slots of all groups, each padded to 32. */
    int slots() {
        return slots;
    }

    /** Words of 64 bits that hold a bit a token. */
    int maskWords() {
        return Math.ceilDiv(rows, Long.SIZE);
    }

    /** Shared memory for the operands of so many states that meet any of some parts. */
    static int panelBytes(List<PackedPart> parts, int states) {
        int one = Math.max(PackedPart.TERM_BYTES, states / 2 * PackedPart.DIGIT_BYTES);
        return parts.stream().mapToInt(part -> part.panelBytes(states)).reduce(one, Math::max);
    }

    /** Where a table lies. */
    long at(Table table) {
        return tables.get(table);
    }
}
