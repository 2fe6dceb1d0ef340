package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.vector.inference.TileLayout.Run;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Turns stored rows, one behind the other, into the tiles of {@link Codes}; once, when a head is loaded. Codes that share a byte of a
 * tile are at most eight bits of the row, so that a table says what they become: one step for all of them, the same for every form.
 */
final class TilePacker {
    private final PackedHead.Group group;
    private final EncodedMatrix left;
    private final BitProfile profile;
    private final PackedHead head;
    private final int rowBytes;
    /** By byte of a row of the tile, the bit of a stored row where its codes begin. */
    private final int[] bits;
    /** Likewise, the byte of the tile where those of all rows begin. */
    private final int[] places;
    /** Likewise, by stored bits what they become. */
    private final byte[][] bytes;
    /** By worker. */
    private final byte[][] stored;

    private final byte[][] packed;

    /** For tiles packed by so many workers. */
    TilePacker(PackedHead.Group group, EncodedMatrix left, PackedHead head, int workers) {
        this.group = group;
        this.left = left;
        this.head = head;
        profile = left.profile();
        rowBytes = Math.toIntExact(profile.rowBytes());
        // Codes are read two bytes at a time.
        stored = new byte[workers][TILE * rowBytes + 1];
        packed = new byte[workers][(int) group.tileBytes()];
        int most = profile.scaled() ? (int) group.tileBytes() / TILE : 0;
        bits = new int[most];
        places = new int[most];
        bytes = new byte[most][];
        if (profile.scaled()) {
            findBytes();
        }
    }

    private void findBytes() {
        int bit = 0;
        for (Run run : group.layout().runs) {
            int together = run.kept().together;
            int[] before = {};
            for (int d = run.from(); d < run.end(); d += together) {
                int[] widths = new int[Math.min(together, run.end() - d)];
                int sum = 0;
                for (int j = 0; j < widths.length; j++) {
                    widths[j] = profile.bits(d + j);
                    sum += widths[j];
                }
                int row = run.at(d) / TILE;
                bits[row] = bit;
                places[row] = run.at(d);
                bytes[row] = Arrays.equals(widths, before) ? bytes[row - 1] : bytes(run, d, widths, sum);
                bit += sum;
                before = widths;
            }
        }
    }

    /** By their bits in a stored row, the byte of some directions. */
    private static byte[] bytes(Run run, int first, int[] widths, int bits) {
        byte[] bytes = new byte[1 << bits];
        int fieldBits = run.kept().fieldBits();
        for (int i = 0; i < bytes.length; i++) {
            int stream = i;
            for (int j = 0; j < widths.length; j++) {
                int code = stream & (1 << widths[j]) - 1;
                stream >>>= widths[j];
                if (run.kept().together == 1) {
                    bytes[i] = (byte) CodeValues.value(widths[j], code);
                } else {
                    int shifted = code - (1 << widths[j] - 1) + (run.signed(first + j) ? 0 : 1 << fieldBits - 1);
                    bytes[i] |= (byte) (shifted << j * fieldBits);
                }
            }
        }
        return bytes;
    }

    /** Packs a tile, counted within the group. */
    void pack(int tile, int worker) {
        int first = tile * TILE;
        int rows = (int) Math.min(TILE, left.rows() - first);
        byte[] from = stored[worker];
        byte[] to = packed[worker];
        if (rows < TILE) {
            Arrays.fill(to, (byte) 0);
        }
        MemorySegment.copy(left.data(), ValueLayout.JAVA_BYTE, (long) first * rowBytes, from, 0, rows * rowBytes);
        fill(from, rowBytes, rows, bits, places, bytes, to);
        if (profile.scaled()) {
            scales(tile, first, rows);
        } else {
            for (int lane = 0; lane < rows; lane++) {
                floats(from, lane * rowBytes, lane, to);
            }
        }
        MemorySegment.copy(to, 0, head.codes, ValueLayout.JAVA_BYTE, group.at() + tile * group.tileBytes(), to.length);
    }

    /** A method of its own, without calls: what is hot when a head is loaded is compiled first of all, so it should not take long. */
    private static void fill(
            byte[] stored, int rowBytes, int rows, int[] bits, int[] places, byte[][] bytes, byte[] packed) {
        for (int c = 0; c < bits.length; c++) {
            byte[] table = bytes[c];
            // Bytes that only fill up have no table.
            if (table != null) {
                int shift = bits[c] & 7;
                int mask = table.length - 1;
                int from = bits[c] >> 3;
                int to = places[c];
                for (int i = to; i < to + rows; i++, from += rowBytes) {
                    int two = stored[from] & 0xff | (stored[from + 1] & 0xff) << 8;
                    packed[i] = table[two >>> shift & mask];
                }
            }
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

    /** Numbers of some bytes, as they are. */
    private void floats(byte[] from, int at, int lane, byte[] to) {
        int bytes = profile.most() / Byte.SIZE;
        for (int d = 0; d < profile.width(); d++) {
            System.arraycopy(from, at + d * bytes, to, (d * TILE + lane) * bytes, bytes);
        }
    }
}
