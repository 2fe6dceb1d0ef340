package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;

import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Turns stored rows, one behind the other, into the tiles of {@link Codes}; once, when a head is loaded. */
final class TilePacker {
    private static final int INT4_OFFSET = 8;
    private static final int INT3_OFFSET = 4;

    private final PackedHead.Group group;
    private final EncodedMatrix left;
    private final PackedHead head;

    TilePacker(PackedHead.Group group, EncodedMatrix left, PackedHead head) {
        this.group = group;
        this.left = left;
        this.head = head;
    }

    /** Packs a tile, counted within the group. */
    void pack(int tile) {
        int first = tile * TILE;
        int rows = (int) Math.min(TILE, left.rows() - first);
        byte[] packed = new byte[(int) group.tileBytes()];
        boolean decoded = group.kept() == Codec.F32 && left.codec() != Codec.F32;
        if (decoded) {
            floats(first, rows, packed);
        } else {
            byte[] stored = new byte[Math.toIntExact(rows * left.codec().rowBytes(left.width()))];
            MemorySegment.copy(
                    left.data(),
                    (long) first * (stored.length / rows),
                    MemorySegment.ofArray(stored),
                    0,
                    stored.length);
            switch (left.codec()) {
                case F32 -> words(stored, rows, Float.BYTES, packed);
                case BF16 -> words(stored, rows, Short.BYTES, packed);
                case INT8 -> words(stored, rows, 1, packed);
                case INT4 -> int4(stored, rows, packed);
                case INT3 -> int3(stored, rows, packed);
            }
        }
        MemorySegment.copy(
                packed, 0, head.codes, ValueLayout.JAVA_BYTE, group.at() + tile * group.tileBytes(), packed.length);
        if (left.codec().scaled() && !decoded) {
            scales(tile, first, rows);
        }
    }

    private void scales(int tile, int first, int rows) {
        for (int lane = 0; lane < rows; lane++) {
            if (group.segmentScales() == null) {
                head.scales[(group.firstTile() + tile) * TILE + lane] = left.scale(first + lane, 0);
            } else {
                for (int s = 0; s < group.segments(); s++) {
                    group.segmentScales()[group.scalesAt(group.firstTile() + tile, s) + lane] =
                            left.scale(first + lane, s);
                }
            }
        }
    }

    private void floats(int first, int rows, byte[] packed) {
        MemorySegment target = MemorySegment.ofArray(packed);
        float[] row = new float[left.width()];
        for (int lane = 0; lane < rows; lane++) {
            left.decodeRow(first + lane, row, 0);
            for (int d = 0; d < row.length; d++) {
                target.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * (d * TILE + lane), row[d]);
            }
        }
    }

    /** Numbers of some bytes, as they are. */
    private static void words(byte[] stored, int rows, int bytes, byte[] packed) {
        int rowBytes = stored.length / rows;
        for (int lane = 0; lane < rows; lane++) {
            int from = lane * rowBytes;
            for (int d = 0; d < rowBytes; d += bytes) {
                for (int b = 0; b < bytes; b++) {
                    packed[d * TILE + lane * bytes + b] = stored[from + d + b];
                }
            }
        }
    }

    /** The half byte behind an odd number of them counts as 0, whatever the file has there. */
    private void int4(byte[] stored, int rows, byte[] packed) {
        int rowBytes = stored.length / rows;
        for (int lane = 0; lane < rows; lane++) {
            for (int b = 0; b < rowBytes; b++) {
                int pair = stored[lane * rowBytes + b];
                int second = 2 * b + 1 < left.width() ? (pair >> 4 & 0xf) - INT4_OFFSET : 0;
                packed[b * TILE + lane] = (byte) ((pair & 0xf) - INT4_OFFSET + 16 * second);
            }
        }
    }

    private void int3(byte[] stored, int rows, byte[] packed) {
        int rowBytes = stored.length / rows;
        int width = left.width();
        for (int lane = 0; lane < rows; lane++) {
            int from = lane * rowBytes;
            for (int d = 0; d < width; d += 8, from += 3) {
                int bits = 0;
                for (int b = 0; b < 3 && from + b < (lane + 1) * rowBytes; b++) {
                    bits |= (stored[from + b] & 0xff) << 8 * b;
                }
                for (int j = d; j < Math.min(width, d + 8); j++, bits >>>= 3) {
                    int number = (bits & 7) - INT3_OFFSET;
                    packed[(j >> 1) * TILE + lane] += (byte) ((j & 1) == 0 ? number : 16 * number);
                }
            }
        }
    }
}
