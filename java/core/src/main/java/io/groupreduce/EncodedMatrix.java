package io.groupreduce;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A row-major matrix in stored form: the left factor of a group, the right factor of a basis, or dense rows.
 *
 * <p>Row {@code i} holds {@code width} numbers in {@link Codec#rowBytes} bytes. A scaled codec keeps {@code ceil(width /
 * block)} scales a row, and a number is {@code integer * scale}. The object owns no memory: whoever made the segments
 * closes them. Different rows may be encoded by different threads at once.
 */
public final class EncodedMatrix {
    /** Little-endian whatever the machine, and at any address: safetensors promises no alignment. */
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final ValueLayout.OfShort B16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Codec codec;
    private final long rows;
    private final int width;
    private final int block;
    private final MemorySegment data;
    private final MemorySegment scales;
    private final boolean bf16Scales;

    /**
     * A view of stored numbers.
     *
     * @param block numbers that share a scale; {@code width} means one scale a row
     * @param data {@code rows * codec.rowBytes(width)} bytes
     * @param scales {@code rows * scalesPerRow} bfloat16 or binary32 numbers; {@code null} for a codec without scales
     */
    public EncodedMatrix(
            Codec codec,
            long rows,
            int width,
            int block,
            MemorySegment data,
            MemorySegment scales,
            boolean bf16Scales) {
        this.codec = codec;
        this.rows = rows;
        this.width = width;
        this.block = Math.max(1, block);
        this.data = data;
        this.scales = scales;
        this.bf16Scales = bf16Scales;
    }

    /** Room for {@code rows} rows, with bfloat16 scales, in memory that {@code arena} has zeroed and will free. */
    public static EncodedMatrix allocate(Arena arena, Codec codec, long rows, int width, int block) {
        long dataBytes = rows * codec.rowBytes(width);
        MemorySegment scales =
                codec.scaled() ? arena.allocate(rows * scalesPerRow(width, block) * Short.BYTES, Long.BYTES) : null;
        return new EncodedMatrix(codec, rows, width, block, arena.allocate(dataBytes, 64), scales, true);
    }

    /** Bytes that {@link #allocate} would store: numbers and bfloat16 scales. */
    public static long storedBytes(Codec codec, long rows, int width, int block) {
        return rows * (codec.rowBytes(width) + (codec.scaled() ? scalesPerRow(width, block) * Short.BYTES : 0));
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

    public boolean bf16Scales() {
        return bf16Scales;
    }

    /** Stored bytes, scales included. */
    public long bytes() {
        return data.byteSize() + (scales == null ? 0 : scales.byteSize());
    }

    /** Rounds {@code source[offset .. offset + width)} to this matrix's codec and stores it as row {@code row}. */
    public void encodeRow(long row, float[] source, int offset) {
        long at = row * codec.rowBytes(width);
        switch (codec) {
            case F32 -> MemorySegment.copy(source, offset, data, F32, at, width);
            case BF16 -> {
                for (int j = 0; j < width; j++) {
                    data.set(B16, at + 2L * j, Bf16.round(source[offset + j]));
                }
            }
            case INT8, INT4 -> {
                int perRow = scalesPerRow();
                for (int s = 0; s < perRow; s++) {
                    int from = s * block;
                    int to = Math.min(width, from + block);
                    float scale = storeScale(row * perRow + s, absMax(source, offset + from, offset + to));
                    float inverse = scale == 0 ? 0 : 1 / scale;
                    for (int j = from; j < to; j++) {
                        storeInteger(at, j, clampedInteger(source[offset + j] * inverse));
                    }
                }
                if (codec == Codec.INT4 && (width & 1) == 1) {
                    storeInteger(at, width, 0);
                }
            }
        }
    }

    /** Reads row {@code row} as binary32 into {@code target[offset .. offset + width)}. */
    public void decodeRow(long row, float[] target, int offset) {
        decodeRow(row, width, target, offset);
    }

    /** Reads the first {@code count} numbers of row {@code row} as binary32 into {@code target} from {@code offset} on. */
    public void decodeRow(long row, int count, float[] target, int offset) {
        long at = row * codec.rowBytes(width);
        switch (codec) {
            case F32 -> MemorySegment.copy(data, F32, at, target, offset, count);
            case BF16 -> {
                for (int j = 0; j < count; j++) {
                    target[offset + j] = Bf16.widen(data.get(B16, at + 2L * j));
                }
            }
            case INT8, INT4 -> {
                int perRow = scalesPerRow();
                for (int s = 0; s * block < count; s++) {
                    float scale = loadScale(row * perRow + s);
                    int to = Math.min(count, (s + 1) * block);
                    for (int j = s * block; j < to; j++) {
                        target[offset + j] = loadInteger(at, j) * scale;
                    }
                }
            }
        }
    }

    private static float absMax(float[] values, int from, int to) {
        float max = 0;
        for (int j = from; j < to; j++) {
            max = Math.max(max, Math.abs(values[j]));
        }
        return max;
    }

    /** Stores the scale for the largest magnitude {@code max} and returns it as a reader will see it. */
    private float storeScale(long index, float max) {
        float exact = max / codec.maxInteger();
        if (!bf16Scales) {
            scales.set(F32, index * Float.BYTES, exact);
            return exact;
        }
        short rounded = Bf16.roundUp(exact);
        scales.set(B16, index * Short.BYTES, rounded);
        return Bf16.widen(rounded);
    }

    private float loadScale(long index) {
        return bf16Scales ? Bf16.widen(scales.get(B16, index * Short.BYTES)) : scales.get(F32, index * Float.BYTES);
    }

    private int clampedInteger(float value) {
        int max = codec.maxInteger();
        return Math.max(-max, Math.min(max, (int) Math.rint(value)));
    }

    private void storeInteger(long rowStart, int j, int integer) {
        if (codec == Codec.INT8) {
            data.set(ValueLayout.JAVA_BYTE, rowStart + j, (byte) integer);
            return;
        }
        long at = rowStart + (j >> 1);
        int nibble = integer + 8;
        int old = (j & 1) == 0 ? 0 : data.get(ValueLayout.JAVA_BYTE, at) & 0x0f;
        data.set(ValueLayout.JAVA_BYTE, at, (byte) ((j & 1) == 0 ? nibble : old | nibble << 4));
    }

    private int loadInteger(long rowStart, int j) {
        if (codec == Codec.INT8) {
            return data.get(ValueLayout.JAVA_BYTE, rowStart + j);
        }
        int pair = data.get(ValueLayout.JAVA_BYTE, rowStart + (j >> 1)) & 0xff;
        return ((j & 1) == 0 ? pair & 0x0f : pair >>> 4) - 8;
    }
}
