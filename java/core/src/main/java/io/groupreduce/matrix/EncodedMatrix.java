package io.groupreduce.matrix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A row-major matrix in stored form: the left factor of a group, the right factor of a basis, or dense rows.
 *
 * <p>Row {@code i} lies in {@link BitProfile#rowBytes} bytes. Codes come with {@code ceil(width / block)} scales a row, and a number is
 * {@code value * scale} with the value of {@link CodeValues}; binary32 and bfloat16 numbers are themselves. The object owns no memory:
 * whoever made the segments closes them. Different rows may be encoded by different threads at once.
 */
public final class EncodedMatrix {
    private final BitProfile profile;
    private final long rows;
    private final int width;
    private final int block;
    private final MemorySegment data;
    private final MemorySegment scales;
    private final ScaleFormat scaleFormat;

    /**
     * A view of stored numbers.
     *
     * @param block numbers that share a scale; the width means one scale a row
     * @param data {@code rows * profile.rowBytes()} bytes
     * @param scales {@code rows * scalesPerRow} scales; {@code null} for numbers without scales
     * @param scaleFormat how scales are stored; without meaning for numbers without scales
     */
    public EncodedMatrix(
            BitProfile profile,
            long rows,
            int block,
            MemorySegment data,
            MemorySegment scales,
            ScaleFormat scaleFormat) {
        this.profile = profile;
        this.rows = rows;
        this.width = profile.width();
        this.block = Math.max(1, block);
        this.data = data;
        this.scales = scales;
        this.scaleFormat = scaleFormat;
    }

    /** Room for {@code rows} rows, with bfloat16 scales, in memory that {@code arena} has zeroed and will free. */
    public static EncodedMatrix allocate(Arena arena, BitProfile profile, long rows, int block) {
        return allocate(arena, profile, rows, block, ScaleFormat.BF16);
    }

    /** Room for {@code rows} rows in memory that {@code arena} has zeroed and will free. */
    public static EncodedMatrix allocate(
            Arena arena, BitProfile profile, long rows, int block, ScaleFormat scaleFormat) {
        long scaleBytes = rows * scalesPerRow(profile.width(), block) * scaleFormat.bytes();
        MemorySegment scales = profile.scaled() ? arena.allocate(scaleBytes, Long.BYTES) : null;
        MemorySegment data = arena.allocate(rows * profile.rowBytes(), 64);
        return new EncodedMatrix(profile, rows, block, data, scales, scaleFormat);
    }

    /** The same numbers and scales, bit for bit, in memory of {@code arena}. */
    public EncodedMatrix copyTo(Arena arena) {
        EncodedMatrix copy = allocate(arena, profile, rows, block, scaleFormat);
        copy.data.copyFrom(data);
        if (scales != null) {
            copy.scales.copyFrom(scales);
        }
        return copy;
    }

    /** Some rows, where they lie. */
    public EncodedMatrix part(long first, long count) {
        MemorySegment some = data.asSlice(first * profile.rowBytes(), count * profile.rowBytes());
        long scaleBytes = (long) scalesPerRow() * scaleFormat.bytes();
        return new EncodedMatrix(
                profile,
                count,
                block,
                some,
                scales == null ? null : scales.asSlice(first * scaleBytes, count * scaleBytes),
                scaleFormat);
    }

    /** Bytes that {@link #allocate(Arena, BitProfile, long, int, ScaleFormat)} would store: numbers and scales. */
    public static long storedBytes(BitProfile profile, long rows, int block, ScaleFormat scaleFormat) {
        long scales = profile.scaled() ? scalesPerRow(profile.width(), block) * scaleFormat.bytes() : 0;
        return rows * (profile.rowBytes() + scales);
    }

    private static long scalesPerRow(int width, int block) {
        return (width + Math.max(1, block) - 1L) / Math.max(1, block);
    }

    public BitProfile profile() {
        return profile;
    }

    public long rows() {
        return rows;
    }

    public int width() {
        return width;
    }

    /** Numbers that share a scale. */
    public int block() {
        return block;
    }

    /** Scales a row has; 0 for numbers without scales. */
    public int scalesPerRow() {
        return profile.scaled() ? (int) scalesPerRow(width, block) : 0;
    }

    public MemorySegment data() {
        return data;
    }

    /** Stored scales, {@code null} for numbers without scales. */
    public MemorySegment scales() {
        return scales;
    }

    /** How scales are stored; without meaning for numbers without scales. */
    public ScaleFormat scaleFormat() {
        return scaleFormat;
    }

    /** Scale {@code s} of row {@code row} as a reader sees it; only where numbers have scales. */
    public float scale(long row, int s) {
        return scaleFormat.load(scales, row * scalesPerRow() + s);
    }

    /** Stored bytes of a row, scales included. */
    public long rowBytes() {
        return storedBytes(profile, 1, block, scaleFormat);
    }

    /** Stored bytes, scales included. */
    public long bytes() {
        return data.byteSize() + (scales == null ? 0 : scales.byteSize());
    }

    /**
     * Rounds {@code source[offset .. offset + width)} to what this matrix stores and stores it as row {@code row}, with the smallest
     * scales that clip nothing.
     */
    public void encodeRow(long row, float[] source, int offset) {
        for (int s = 0; s < scalesPerRow(); s++) {
            int to = Math.min(width, (s + 1) * block);
            storeScale(row, s, ScaleSearch.clippingNothing(profile, scaleFormat, source, s * block, to, offset));
        }
        requantizeRow(row, source, offset);
    }

    /**
     * Like {@link #encodeRow(long, float[], int)}, but each block takes the scale that makes {@code sum_j errorWeights[j] (x_j - value_j *
     * scale)^2} least among those tried; numbers beyond the largest value are clipped. Without scales the weights change nothing.
     *
     * @param errorWeights length width, none negative; {@code null} means all 1
     */
    public void encodeRow(long row, float[] source, int offset, float[] errorWeights) {
        for (int s = 0; s < scalesPerRow(); s++) {
            int to = Math.min(width, (s + 1) * block);
            storeScale(
                    row, s, ScaleSearch.leastError(profile, scaleFormat, source, s * block, to, offset, errorWeights));
        }
        requantizeRow(row, source, offset);
    }

    /**
     * Rounds {@code source[offset .. offset + width)} to what this matrix stores with the scales that row {@code row} has already, and
     * stores it there; numbers beyond the largest value are clipped. Of a scale that has no inverse all numbers count as 0.
     */
    public void requantizeRow(long row, float[] source, int offset) {
        long at = row * profile.rowBytes();
        switch (profile.most()) {
            case Float.SIZE -> MemorySegment.copy(source, offset, data, LittleEndian.F32, at, width);
            case Short.SIZE -> {
                for (int j = 0; j < width; j++) {
                    data.set(LittleEndian.I16, at + 2L * j, Bf16.round(source[offset + j]));
                }
            }
            default -> storeCodes(row, at, source, offset);
        }
    }

    private void storeCodes(long row, long rowStart, float[] source, int offset) {
        long stream = 0;
        int filled = 0;
        long at = rowStart;
        for (int s = 0; s < scalesPerRow(); s++) {
            float scale = scale(row, s);
            float inverse = 1 / scale <= Float.MAX_VALUE ? 1 / scale : 0;
            int end = Math.min(width, (s + 1) * block);
            int j = s * block;
            while (j < end) {
                int bits = profile.bits(j);
                for (int run = Math.min(end, profile.atLeast(bits)); j < run; j++) {
                    long code = CodeValues.nearest(bits, source[offset + j] * inverse);
                    stream |= code << filled;
                    filled += bits;
                    if (filled >= Long.SIZE) {
                        data.set(LittleEndian.I64, at, stream);
                        at += Long.BYTES;
                        filled -= Long.SIZE;
                        stream = code >>> bits - filled;
                    }
                }
            }
        }
        for (; filled > 0; filled -= Byte.SIZE) {
            data.set(ValueLayout.JAVA_BYTE, at++, (byte) stream);
            stream >>>= Byte.SIZE;
        }
    }

    /** Reads row {@code row} as binary32 into {@code target[offset .. offset + width)}. */
    public void decodeRow(long row, float[] target, int offset) {
        decodeRow(row, width, target, offset);
    }

    /** Reads the first {@code count} numbers of row {@code row} as binary32 into {@code target} from {@code offset} on. */
    public void decodeRow(long row, int count, float[] target, int offset) {
        long at = row * profile.rowBytes();
        switch (profile.most()) {
            case Float.SIZE -> MemorySegment.copy(data, LittleEndian.F32, at, target, offset, count);
            case Short.SIZE -> {
                for (int j = 0; j < count; j++) {
                    target[offset + j] = Bf16.widen(data.get(LittleEndian.I16, at + 2L * j));
                }
            }
            default -> decodeValues(row, count, target, offset);
        }
        for (int s = 0; profile.scaled() && s * block < count; s++) {
            float scale = scale(row, s);
            int to = offset + Math.min(count, (s + 1) * block);
            for (int j = offset + s * block; j < to; j++) {
                target[j] *= scale;
            }
        }
    }

    /**
     * Reads the values of the first {@code count} codes of row {@code row}, whole numbers that scales are still to multiply; only where
     * numbers are codes.
     */
    public void decodeValues(long row, int count, float[] target, int offset) {
        long start = row * profile.rowBytes();
        long last = data.byteSize() - Long.BYTES;
        long bit = 0;
        int j = 0;
        while (j < count) {
            int bits = profile.bits(j);
            float[] values = CodeValues.table(bits);
            int mask = (1 << bits) - 1;
            for (int run = Math.min(count, profile.atLeast(bits)); j < run; ) {
                long at = start + (bit >> 3);
                int skipped = (int) bit & 7;
                long word = (at <= last ? data.get(LittleEndian.I64, at) : tail(at)) >>> skipped;
                int end = Math.min(run, j + (Long.SIZE - skipped) / bits);
                bit += (long) (end - j) * bits;
                for (; j < end; j++) {
                    target[offset + j] = values[(int) word & mask];
                    word >>>= bits;
                }
            }
        }
    }

    /** What is left of the data from a byte less than eight before its end, as a word. */
    private long tail(long from) {
        long word = 0;
        for (long at = data.byteSize() - 1; at >= from; at--) {
            word = word << Byte.SIZE | data.get(ValueLayout.JAVA_BYTE, at) & 0xff;
        }
        return word;
    }

    /** Stores the scale of block {@code s} of a row, one that the scale format holds exactly, for {@link #requantizeRow}. */
    public void storeScale(long row, int s, float scale) {
        scaleFormat.store(scales, row * scalesPerRow() + s, scale);
    }
}
