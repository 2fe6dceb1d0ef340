package io.groupreduce.cuda.training;

import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import java.util.List;
import java.util.function.BiFunction;

/**
 * The vocabulary in tiles of consecutive rows, and an order of the rows of each: rows whose left numbers meet the same
 * operand lie together, in sections, so that a section is one matrix product whatever groups its rows belong to.
 * Sections 0 .. bases - 1 are those of the bases, then comes that of dense rows, whose operand is the hidden state,
 * then that of rows that store nothing. A place is a row's number in this order; the places of a tile are the numbers
 * of its rows.
 */
final class VocabularyTiles {
    /** Rows of a tile where memory allows. */
    static final int ROWS = 32_768;

    private static final int FEWEST_ROWS = 512;

    private final int rows;
    private final int tileRows;
    private final int bases;
    private final int[] order;
    private final int[] placeOf;
    /** Per tile and section, where it begins; the last entry of a tile is its end. */
    private final int[][] starts;

    private final int[] widths;

    /**
     * The tiles of a matrix.
     *
     * @param tileRows rows of a tile; the last one may have fewer
     */
    VocabularyTiles(CompressedMatrix matrix, int tileRows) {
        rows = matrix.rows();
        this.tileRows = Math.min(tileRows, rows);
        bases = matrix.bases();
        order = new int[rows];
        placeOf = new int[rows];
        widths = new int[bases + 2];
        List<GroupPlan> plans = matrix.groups();
        for (GroupPlan plan : plans) {
            int section = section(plan);
            int width = section > bases ? 0 : plan.rank();
            widths[section] = Math.max(widths[section], width);
        }
        int[] sectionOf = plans.stream().mapToInt(this::section).toArray();
        starts = new int[Math.ceilDiv(rows, this.tileRows)][];
        for (int tile = 0; tile < starts.length; tile++) {
            starts[tile] = sort(matrix, sectionOf, tile);
        }
    }

    private int section(GroupPlan plan) {
        if (plan.isDense()) {
            return bases;
        }
        return plan.isLowRank() && plan.rank() > 0 ? plan.basis() : bases + 1;
    }

    private int[] sort(CompressedMatrix matrix, int[] sectionOf, int tile) {
        int first = first(tile);
        int end = first + count(tile);
        int[] start = new int[widths.length + 1];
        for (int row = first; row < end; row++) {
            start[sectionOf[matrix.group(row)] + 1]++;
        }
        start[0] = first;
        for (int s = 0; s < widths.length; s++) {
            start[s + 1] += start[s];
        }
        int[] next = start.clone();
        for (int row = first; row < end; row++) {
            int place = next[sectionOf[matrix.group(row)]]++;
            order[place] = row;
            placeOf[row] = place;
        }
        return start;
    }

    /**
     * What {@code make} makes of as many rows a tile as memory allows, at most {@code most}; {@code owner} takes over what
     * it took. Sums over tiles are rounded at their ends, so a card that is nearly full may give other last bits.
     *
     * @throws OutOfDeviceMemoryException if the smallest tiles are too large
     */
    static <T> T fitting(Owned owner, int most, BiFunction<Owned, Integer, T> make) {
        for (int rows = most; ; rows /= 4) {
            Owned taken = owner.add(new Owned(owner.device()));
            try {
                return make.apply(taken, rows);
            } catch (OutOfDeviceMemoryException e) {
                taken.closeAfter(e);
                if (rows <= FEWEST_ROWS) {
                    throw e;
                }
            }
        }
    }

    /** The most rows of a tile. */
    int tileRows() {
        return tileRows;
    }

    /** The tile that begins with a row. */
    int tileAt(int row) {
        return row / tileRows;
    }

    /** Its first row and place. */
    int first(int tile) {
        return tile * tileRows;
    }

    /** Its rows. */
    int count(int tile) {
        return Math.min(tileRows, rows - first(tile));
    }

    /** The sections that rows have an operand in: one a basis, and that of dense rows. */
    int sections() {
        return bases + 1;
    }

    /** Whether a section is that of dense rows. */
    boolean isDense(int section) {
        return section == bases;
    }

    /** The longest rank of a section, D of dense rows; 0 when no row is in it. */
    int width(int section) {
        return widths[section];
    }

    /** The widest section. */
    int widest() {
        int widest = 0;
        for (int width : widths) {
            widest = Math.max(widest, width);
        }
        return widest;
    }

    /** The first place of a section in a tile. */
    int from(int tile, int section) {
        return starts[tile][section];
    }

    /** How many places a section has in a tile. */
    int size(int tile, int section) {
        return starts[tile][section + 1] - starts[tile][section];
    }

    /** Whether a tile has rows that store nothing. */
    boolean hasEmptyRows(int tile) {
        return size(tile, bases + 1) > 0;
    }

    /** The row at every place; callers must not write to it. */
    int[] order() {
        return order;
    }

    /** The place of every row; callers must not write to it. */
    int[] placeOf() {
        return placeOf;
    }
}
