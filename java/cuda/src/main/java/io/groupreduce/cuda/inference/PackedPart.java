package io.groupreduce.cuda.inference;

import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A left factor, the dense rows of a group, or a right factor, packed into strips of 32 rows by slices of 16 columns as {@code softmax.h}
 * describes. Places are bytes from the start of the head's memory.
 *
 * @param stored the rows as a file holds them; {@code null} for a zero group
 * @param rows rows, or slots; 0 for an empty group
 * @param operand where the operand begins in a row of z, a multiple of 32; {@link #HIDDEN} for the hidden state itself
 * @param codes where the packed strips lie, {@link #NONE} when there are none
 * @param scales where the scales lie, {@link #NONE} when there are none
 * @param firstSlot where its slots begin among those of all groups, a multiple of 32; without meaning for a right factor
 */
record PackedPart(EncodedMatrix stored, int rows, int operand, long codes, long scales, int firstSlot) {
    /** Rows of a strip. */
    static final int STRIP = 32;

    /** Columns of a slice. */
    static final int SLICE = 16;

    /** Bytes of the {@code GrPacked} structure. */
    static final int STRUCTURE_BYTES = 64;

    /** The operand is the hidden state. */
    static final int HIDDEN = -1;

    /** Nothing lies there. */
    static final long NONE = -1;

    /** Bytes of a slice of a strip whose numbers have a byte each. */
    private static final int SLICE_BYTES = STRIP * SLICE;

    /** {@code GR_F32}. The numbers of a packed part are half as long from each to the next of these. */
    private static final int F32 = 0;

    /** {@code GR_BF16}. */
    private static final int BF16 = 1;

    /** {@code GR_INT8}. */
    private static final int INT8 = 2;

    /** k of a group, D of a right factor or of dense rows, 0 of a zero group. */
    int width() {
        return stored == null ? 0 : stored.width();
    }

    /** Slices of a row. */
    int slices() {
        return Math.ceilDiv(width(), SLICE);
    }

    /** Strips of rows. */
    int strips() {
        return Math.ceilDiv(rows, STRIP);
    }

    /** Bytes of a stored row, scales not counted. */
    long rowBytes() {
        return stored == null ? 0 : stored.profile().rowBytes();
    }

    /** Bytes of a packed strip. */
    long stripBytes() {
        return stored == null ? 0 : stripBytes(stored);
    }

    private static long stripBytes(EncodedMatrix stored) {
        return ((long) Math.ceilDiv(stored.width(), SLICE) * SLICE_BYTES << INT8) >> codec(stored);
    }

    /** Bytes of the packed strips of stored rows. */
    static long packedBytes(EncodedMatrix stored) {
        return Math.ceilDiv(stored.rows(), STRIP) * stripBytes(stored);
    }

    /** Bytes of the scales of stored rows, with those of the rows that fill the last strip; 0 for numbers without scales. */
    static long scaleBytes(EncodedMatrix stored) {
        return stored.profile().scaled()
                ? Math.ceilDiv(stored.rows(), STRIP)
                        * STRIP
                        * stored.scalesPerRow()
                        * stored.scaleFormat().bytes()
                : 0;
    }

    /** What packed numbers are: codes of any width become the signed bytes of their values. */
    private static int codec(EncodedMatrix stored) {
        return stored.profile().scaled() ? INT8 : stored.profile().most() == Short.SIZE ? BF16 : F32;
    }

    /** Whether its operand is split into halves, as for integers, rather than into terms of bfloat16. */
    boolean takesHalves() {
        return stored != null && stored.profile().scaled();
    }

    /**
     * Writes the {@code GrPacked} structure.
     *
     * @param base the address of the head's memory
     * @param bias the address of the bias of all slots, 0 for none
     * @param tokens the address of the tokens of all slots, 0 for a right factor
     */
    void write(MemorySegment table, long at, long base, long bias, long tokens) {
        long slotBytes = (long) Float.BYTES * firstSlot;
        table.set(ValueLayout.JAVA_LONG, at, codes == NONE ? 0 : base + codes);
        table.set(ValueLayout.JAVA_LONG, at + 8, scales == NONE ? 0 : base + scales);
        table.set(ValueLayout.JAVA_LONG, at + 16, bias == 0 ? 0 : bias + slotBytes);
        table.set(ValueLayout.JAVA_LONG, at + 24, tokens == 0 ? 0 : tokens + slotBytes);
        table.set(ValueLayout.JAVA_LONG, at + 32, stripBytes());
        table.set(ValueLayout.JAVA_INT, at + 40, rows);
        table.set(ValueLayout.JAVA_INT, at + 44, slices());
        table.set(ValueLayout.JAVA_SHORT, at + 48, (short) (stored == null ? F32 : codec(stored)));
        int scaleBytes = takesHalves() ? stored.scaleFormat().bytes() : 0;
        table.set(ValueLayout.JAVA_SHORT, at + 50, (short) scaleBytes);
        table.set(ValueLayout.JAVA_INT, at + 52, stored == null ? 1 : Math.max(1, stored.scalesPerRow()));
        table.set(ValueLayout.JAVA_INT, at + 56, operand);
        table.set(ValueLayout.JAVA_INT, at + 60, width());
    }
}
