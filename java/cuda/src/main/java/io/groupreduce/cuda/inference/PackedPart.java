package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.compress.RowForm;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A left factor, the dense rows of a group, or a right factor, packed into strips of 32 rows by blocks of 32 columns as {@code softmax.h}
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

    /** Columns of a block. */
    static final int BLOCK = 32;

    /** Bytes of the {@code GrPacked} structure. */
    static final int STRUCTURE_BYTES = 120;

    /** The operand is the hidden state. */
    static final int HIDDEN = -1;

    /** Nothing lies there. */
    static final long NONE = -1;

    /** {@code GR_TERM_BYTES}. */
    static final int TERM_BYTES = 1536;

    /** {@code GR_DIGIT_BYTES}. */
    static final int DIGIT_BYTES = 288;

    /** Columns of a slice of numbers that are no codes; half of a block. */
    private static final int SLICE = 16;

    /** Where the runs of blocks by width have the bits of half a block. */
    private static final int HALF = 6;

    /** k of a group, D of a right factor or of dense rows, 0 of a zero group. */
    int width() {
        return stored == null ? 0 : stored.width();
    }

    /** Blocks of 32 columns of a row, the last one perhaps in part. */
    int blocks() {
        return Math.ceilDiv(width(), BLOCK);
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
        return stored == null ? 0 : stripBytes(stored.profile());
    }

    /** Shared memory for the operands of so many states. */
    int panelBytes(int states) {
        return blocks() * (isScaled() ? states / 2 * DIGIT_BYTES : TERM_BYTES);
    }

    private static long stripBytes(BitProfile profile) {
        if (!profile.scaled()) {
            return (long) Math.ceilDiv(profile.width(), SLICE) * SLICE * STRIP * profile.most() / Byte.SIZE;
        }
        int[] runs = runs(profile);
        int bits = runs[HALF] / 2;
        for (int b = 1; b <= runs.length; b++) {
            bits += b == HALF + 1 ? 0 : b * runs[b - 1];
        }
        return (long) bits * BLOCK * STRIP / Byte.SIZE;
    }

    /** What {@code GrRuns} has: whole blocks by the bits of their widest code, the first, and the bits of the half at the end. */
    private static int[] runs(BitProfile profile) {
        int[] runs = new int[Byte.SIZE];
        for (int first = 0; first < profile.width() && profile.scaled(); first += BLOCK) {
            int bits = profile.bits(first);
            if (profile.width() - first <= SLICE) {
                runs[HALF] = bits <= 2 ? 2 : bits <= 4 ? 4 : 8;
            } else {
                runs[(bits == HALF + 1 ? Byte.SIZE : bits) - 1]++;
            }
        }
        return runs;
    }

    /** Bytes of the packed strips of stored rows. */
    static long packedBytes(EncodedMatrix stored) {
        return Math.ceilDiv(stored.rows(), STRIP) * stripBytes(stored.profile());
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

    /** Whether its numbers are codes with scales. */
    boolean isScaled() {
        return stored != null && stored.profile().scaled();
    }

    /** The words of the {@code GrRuns} structure, two numbers each. */
    int[] runs() {
        int[] runs = runs(stored == null ? BitProfile.EMPTY : stored.profile());
        int[] words = new int[runs.length / 2];
        Arrays.setAll(words, i -> runs[2 * i] | runs[2 * i + 1] << Short.SIZE);
        return words;
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
        table.set(ValueLayout.JAVA_INT, at + 44, operand);
        if (stored != null) {
            int[] form = RowForm.of(stored);
            MemorySegment.copy(form, 0, table, ValueLayout.JAVA_INT, at + 48, form.length);
        }
        int[] runs = runs();
        MemorySegment.copy(runs, 0, table, ValueLayout.JAVA_INT, at + 104, runs.length);
    }
}
