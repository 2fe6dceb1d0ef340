package io.groupreduce.matrix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A row-major matrix in stored form: the left factor of a group, the right factor of a basis, or dense rows.
 *
 * <p>Row {@code i} holds {@code width} numbers in {@link Codec#rowBytes} bytes. A scaled codec keeps {@code ceil(width /
 * block)} scales a row, and a number is {@code integer * scale}. The object owns no memory: whoever made the segments
 * closes them. Different rows may be encoded by different threads at once.
 */
public final class EncodedMatrix {
    /** Little-endian whatever the machine, and at any address: safetensors promises no alignment. */
    private final Codec codec;

    private final long rows;
    private final int width;
    private final int block;
    private final MemorySegment data;
    private final MemorySegment scales;
    private final ScaleFormat scaleFormat;

    /**
     * A view of stored numbers.
     *
     * @param block numbers that share a scale; {@code width} means one scale a row
     * @param data {@code rows * codec.rowBytes(width)} bytes
     * @param scales {@code rows * scalesPerRow} scales; {@code null} for a codec without scales
     * @param scaleFormat how scales are stored; without meaning for a codec without scales
     */
    public EncodedMatrix(
            Codec codec,
            long rows,
            int width,
            int block,
            MemorySegment data,
            MemorySegment scales,
            ScaleFormat scaleFormat) {
        this.codec = codec;
        this.rows = rows;
        this.width = width;
        this.block = Math.max(1, block);
        this.data = data;
        this.scales = scales;
        this.scaleFormat = scaleFormat;
    }

    /** Room for {@code rows} rows, with bfloat16 scales, in memory that {@code arena} has zeroed and will free. */
    public static EncodedMatrix allocate(Arena arena, Codec codec, long rows, int width, int block) {
        return allocate(arena, codec, rows, width, block, ScaleFormat.BF16);
    }

    /** Room for {@code rows} rows in memory that {@code arena} has zeroed and will free. */
    public static EncodedMatrix allocate(
            Arena arena, Codec codec, long rows, int width, int block, ScaleFormat scaleFormat) {
        long scaleBytes = rows * scalesPerRow(width, block) * scaleFormat.bytes();
        MemorySegment scales = codec.scaled() ? arena.allocate(scaleBytes, Long.BYTES) : null;
        MemorySegment data = arena.allocate(rows * codec.rowBytes(width), 64);
        return new EncodedMatrix(codec, rows, width, block, data, scales, scaleFormat);
    }

    /** The same numbers and scales, bit for bit, in memory of {@code arena}. */
    public EncodedMatrix copyTo(Arena arena) {
        EncodedMatrix copy = allocate(arena, codec, rows, width, block, scaleFormat);
        copy.data.copyFrom(data);
        if (scales != null) {
            copy.scales.copyFrom(scales);
        }
        return copy;
    }

    /** Bytes that {@link #allocate(Arena, Codec, long, int, int, ScaleFormat)} would store: numbers and scales. */
    public static long storedBytes(Codec codec, long rows, int width, int block, ScaleFormat scaleFormat) {
        long scales = codec.scaled() ? scalesPerRow(width, block) * scaleFormat.bytes() : 0;
        return rows * (codec.rowBytes(width) + scales);
    }

    private static long scalesPerRow(int width, int block) {
        return (width + Math.max(1, block) - 1L) / Math.max(1, block);
    }

    public Codec codec() {
        return codec;
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

    /** Scales a row has; 0 for a codec without scales. */
    public int scalesPerRow() {
        return codec.scaled() ? (int) scalesPerRow(width, block) : 0;
    }

    public MemorySegment data() {
        return data;
    }

    /** Stored scales, {@code null} for a codec without scales. */
    public MemorySegment scales() {
        return scales;
    }

    /** How scales are stored; without meaning for a codec without scales. */
    public ScaleFormat scaleFormat() {
        return scaleFormat;
    }

    /** Scale {@code s} of row {@code row} as a reader sees it; only of a codec with scales. */
    public float scale(long row, int s) {
        return scaleFormat.load(scales, row * scalesPerRow() + s);
    }

    /** Stored bytes, scales included. */
    public long bytes() {
        return data.byteSize() + (scales == null ? 0 : scales.byteSize());
    }

    /**
     * Rounds {@code source[offset .. offset + width)} to this matrix's codec and stores it as row {@code row}. A scaled codec
     * takes the smallest scales that clip nothing.
     */
    public void encodeRow(long row, float[] source, int offset) {
        for (int s = 0; s < scalesPerRow(); s++) {
            int from = offset + s * block;
            int to = offset + Math.min(width, (s + 1) * block);
            storeScale(row, s, ScaleSearch.clippingNothing(codec, scaleFormat, source, from, to));
        }
        requantizeRow(row, source, offset);
    }

    /**
     * Like {@link #encodeRow(long, float[], int)}, but a scaled codec takes for each block the scale that makes {@code sum_j
     * errorWeights[j] (x_j - integer_j * scale)^2} least among those tried; numbers beyond the largest integer are clipped.
     * Without scales the weights change nothing.
     *
     * @param errorWeights length width, none negative; {@code null} means all 1
     */
    public void encodeRow(long row, float[] source, int offset, float[] errorWeights) {
        for (int s = 0; s < scalesPerRow(); s++) {
            int from = offset + s * block;
            int to = offset + Math.min(width, (s + 1) * block);
            storeScale(row, s, ScaleSearch.leastError(codec, scaleFormat, source, from, to, errorWeights, -offset));
        }
        requantizeRow(row, source, offset);
    }

    /**
     * Rounds {@code source[offset .. offset + width)} to this matrix's codec with the scales that row {@code row} has already,
     * and stores it there; numbers beyond the largest integer are clipped.
     */
    public void requantizeRow(long row, float[] source, int offset) {
        long at = row * codec.rowBytes(width);
        switch (codec) {
            case F32 -> MemorySegment.copy(source, offset, data, LittleEndian.F32, at, width);
            case BF16 -> {
                for (int j = 0; j < width; j++) {
                    data.set(LittleEndian.I16, at + 2L * j, Bf16.round(source[offset + j]));
                }
            }
            case INT8, INT4, INT3 -> storeIntegers(row, at, source, offset);
        }
    }

    /** A row is a stream of bits, the lowest of a byte first; what is left of the last byte is a zero of INT4, or bits 0. */
    private void storeIntegers(long row, long rowStart, float[] source, int offset) {
        int width = this.width;
        int numberBits = codec.bits();
        int max = codec.maxInteger();
        int zero = zero();
        int mask = (1 << numberBits) - 1;
        int bits = 0;
        int filled = 0;
        long at = rowStart;
        for (int s = 0; s < scalesPerRow(); s++) {
            float scale = scale(row, s);
            float inverse = scale == 0 ? 0 : 1 / scale;
            int to = Math.min(width, (s + 1) * block);
            for (int j = s * block; j < to; j++) {
                int integer = Math.max(-max, Math.min(max, (int) Math.rint(source[offset + j] * inverse)));
                bits |= (integer + zero & mask) << filled;
                filled += numberBits;
                if (filled >= Byte.SIZE) {
                    data.set(ValueLayout.JAVA_BYTE, at++, (byte) bits);
                    bits >>>= Byte.SIZE;
                    filled -= Byte.SIZE;
                }
            }
        }
        if (filled > 0) {
            int padding = codec == Codec.INT4 ? zero << filled : 0;
            data.set(ValueLayout.JAVA_BYTE, at, (byte) (bits | padding));
        }
    }

    /** What is added to an integer before it is stored. */
    private int zero() {
        return codec == Codec.INT8 ? 0 : 1 << (codec.bits() - 1);
    }

    /** Reads row {@code row} as binary32 into {@code target[offset .. offset + width)}. */
    public void decodeRow(long row, float[] target, int offset) {
        decodeRow(row, width, target, offset);
    }

    /** Reads the first {@code count} numbers of row {@code row} as binary32 into {@code target} from {@code offset} on. */
    public void decodeRow(long row, int count, float[] target, int offset) {
        long at = row * codec.rowBytes(width);
        switch (codec) {
            case F32 -> MemorySegment.copy(data, LittleEndian.F32, at, target, offset, count);
            case BF16 -> {
                for (int j = 0; j < count; j++) {
                    target[offset + j] = Bf16.widen(data.get(LittleEndian.I16, at + 2L * j));
                }
            }
            case INT8 -> {
                for (int j = 0; j < count; j++) {
                    target[offset + j] = data.get(ValueLayout.JAVA_BYTE, at + j);
                }
            }
            case INT4 -> loadInt4(at, count, target, offset);
            case INT3 -> loadInt3(at, count, target, offset);
        }
        for (int s = 0; codec.scaled() && s * block < count; s++) {
            float scale = scale(row, s);
            int to = offset + Math.min(count, (s + 1) * block);
            for (int j = offset + s * block; j < to; j++) {
                target[j] *= scale;
            }
        }
    }

    private void loadInt4(long at, int count, float[] target, int offset) {
        for (int j = 0; j < count; j += 2) {
            int pair = data.get(ValueLayout.JAVA_BYTE, at + (j >> 1));
            target[offset + j] = (pair & 15) - 8;
            if (j + 1 < count) {
                target[offset + j + 1] = (pair >> 4 & 15) - 8;
            }
        }
    }

    private void loadInt3(long at, int count, float[] target, int offset) {
        for (int j = 0; j < count; j += 8) {
            int here = Math.min(8, count - j);
            int bits = 0;
            for (int b = 0; 8 * b < 3 * here; b++) {
                bits |= (data.get(ValueLayout.JAVA_BYTE, at++) & 0xff) << 8 * b;
            }
            for (int i = 0; i < here; i++) {
                target[offset + j + i] = (bits >> 3 * i & 7) - 4;
            }
        }
    }

    /** Stores the scale of block {@code s} of a row, one that the scale format holds exactly, for {@link #requantizeRow}. */
    public void storeScale(long row, int s, float scale) {
        scaleFormat.store(scales, row * scalesPerRow() + s, scale);
    }
}
