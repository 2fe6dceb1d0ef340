package io.groupreduce.models.export;

import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * Stored rows of several parts in one stream. A row of codes is its scales and then its codes as they are in the compressed file; rows of a part
 * follow each other at a fixed distance. A scale is a byte, a place in a table of numbers: eighths of octaves, or what scales a part has; or two
 * bytes where a part has too many of them.
 */
final class RowStream {
    /** What a stream consists of. */
    enum Kind {
        /** Bytes; a scale takes one. */
        CODES,
        /** Bytes; a scale takes two, a bfloat16 with the upper byte first. */
        WIDE_SCALES,
        F16,
        F32
    }

    /** Beyond the last code, which may be read with its neighbour. */
    private static final int MARGIN = 8;

    private static final int BYTE_VALUES = 256;

    private final Kind kind;
    private final List<EncodedMatrix> parts;
    private final long[] base;
    private final int[] section;
    private final MemorySegment data;
    private float[] scaleTable = {};

    /**
     * @param parts {@code null} where a part is none of this stream
     * @param arena frees the stream
     */
    RowStream(Kind kind, List<EncodedMatrix> parts, Arena arena) {
        this.kind = kind;
        this.parts = parts;
        base = new long[parts.size()];
        section = new int[parts.size()];
        long end = 0;
        for (int p = 0; p < base.length; p++) {
            base[p] = end;
            end += has(p) ? stride(p) * parts.get(p).rows() : 0;
        }
        data = arena.allocate(end * unit() + MARGIN, Long.BYTES);
        for (int p = 0; p < base.length; p++) {
            if (has(p)) {
                fill(p);
            }
        }
    }

    /** The kind of stream that can hold a part; {@code null} for scales that no stream has. */
    static Kind kindOf(EncodedMatrix part) {
        return switch (part.profile().most()) {
            case Float.SIZE -> Kind.F32;
            case Short.SIZE -> isExactInF16(part) ? Kind.F16 : Kind.F32;
            default ->
                switch (part.scaleFormat()) {
                    case LOG8 -> Kind.CODES;
                    case BF16 -> distinctScales(part).length <= BYTE_VALUES ? Kind.CODES : Kind.WIDE_SCALES;
                    case F32 -> null;
                };
        };
    }

    private static boolean isExactInF16(EncodedMatrix part) {
        float[] row = new float[part.width()];
        for (long r = 0; r < part.rows(); r++) {
            part.decodeRow(r, row, 0);
            for (float value : row) {
                if (Float.float16ToFloat(Float.floatToFloat16(value)) != value) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Ascending. */
    private static float[] distinctScales(EncodedMatrix part) {
        boolean[] seen = new boolean[1 << Short.SIZE];
        for (long r = 0; r < part.rows(); r++) {
            for (int s = 0; s < part.scalesPerRow(); s++) {
                seen[upperHalf(part.scale(r, s))] = true;
            }
        }
        int[] found = IntStream.range(0, seen.length).filter(i -> seen[i]).toArray();
        float[] scales = new float[found.length];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = Bf16.widen((short) found[i]);
        }
        return scales;
    }

    private static int upperHalf(float scale) {
        return Float.floatToRawIntBits(scale) >>> Short.SIZE;
    }

    private void fill(int p) {
        EncodedMatrix part = parts.get(p);
        if (kind == Kind.F16 || kind == Kind.F32) {
            fillFloats(p, part);
            return;
        }
        float[] own = kind == Kind.CODES ? section(p, part) : null;
        long rowBytes = part.profile().rowBytes();
        for (long r = 0; r < part.rows(); r++) {
            long at = base[p] + r * stride(p);
            for (int s = 0; s < part.scalesPerRow(); s++) {
                float scale = part.scale(r, s);
                if (kind == Kind.CODES) {
                    data.set(ValueLayout.JAVA_BYTE, at++, (byte) Arrays.binarySearch(own, scale));
                } else {
                    data.set(ValueLayout.JAVA_BYTE, at++, (byte) (upperHalf(scale) >>> Byte.SIZE));
                    data.set(ValueLayout.JAVA_BYTE, at++, (byte) upperHalf(scale));
                }
            }
            MemorySegment.copy(part.data(), r * rowBytes, data, at, rowBytes);
        }
    }

    /** The scales of a part, ascending, which from now on are in the table. Parts with the same scales share them. */
    private float[] section(int p, EncodedMatrix part) {
        float[] own = part.scaleFormat() == ScaleFormat.LOG8 ? ScaleFormat.log8Scales() : distinctScales(part);
        for (int start = 0; start + own.length <= scaleTable.length; start += 1) {
            if (Arrays.equals(scaleTable, start, start + own.length, own, 0, own.length)) {
                section[p] = start;
                return own;
            }
        }
        section[p] = scaleTable.length;
        scaleTable = Arrays.copyOf(scaleTable, scaleTable.length + own.length);
        System.arraycopy(own, 0, scaleTable, section[p], own.length);
        return own;
    }

    private void fillFloats(int p, EncodedMatrix part) {
        float[] row = new float[part.width()];
        for (long r = 0; r < part.rows(); r++) {
            part.decodeRow(r, row, 0);
            long at = base[p] + r * row.length;
            for (float value : row) {
                if (kind == Kind.F32) {
                    data.set(LittleEndian.F32, at++ * Float.BYTES, value);
                } else {
                    data.set(LittleEndian.I16, at++ * Short.BYTES, Float.floatToFloat16(value));
                }
            }
        }
    }

    Kind kind() {
        return kind;
    }

    /** The stream's bytes; of floats, numbers of the type that {@link #kind} says. */
    MemorySegment data() {
        return data;
    }

    /** Bytes of what places in the stream count. */
    int unit() {
        return kind == Kind.F32 ? Float.BYTES : kind == Kind.F16 ? Short.BYTES : 1;
    }

    int parts() {
        return base.length;
    }

    boolean has(int part) {
        return parts.get(part) != null;
    }

    /** A part; {@code null} if it is none of this stream. */
    EncodedMatrix part(int part) {
        return parts.get(part);
    }

    /** Numbers of a row in the part that has most. */
    int width() {
        return parts.stream()
                .filter(Objects::nonNull)
                .mapToInt(EncodedMatrix::width)
                .max()
                .orElseThrow();
    }

    /** Scales of a row in the part that has most. */
    int scalesPerRow() {
        return parts.stream()
                .filter(Objects::nonNull)
                .mapToInt(EncodedMatrix::scalesPerRow)
                .max()
                .orElseThrow();
    }

    /** Where the first row of a part begins. */
    long base(int part) {
        return base[part];
    }

    /** From one row of a part to the next; 0 for parts that are not in the stream. */
    long stride(int part) {
        return !has(part)
                ? 0
                : scaleBytes(part)
                        + (isCodes()
                                ? part(part).profile().rowBytes()
                                : part(part).width());
    }

    boolean isCodes() {
        return kind == Kind.CODES || kind == Kind.WIDE_SCALES;
    }

    /** Bytes of a row before its codes. */
    int scaleBytes(int part) {
        return has(part) ? part(part).scalesPerRow() * scaleSize() : 0;
    }

    int scaleSize() {
        return kind == Kind.WIDE_SCALES ? Short.BYTES : 1;
    }

    /** What the scale bytes of a part count from in {@link #scaleTable}. */
    int section(int part) {
        return section[part];
    }

    /** The numbers that scale bytes stand for, enough for any byte to be one. */
    float[] scaleTable() {
        return Arrays.copyOf(scaleTable, Math.max(BYTE_VALUES, scaleTable.length));
    }
}
