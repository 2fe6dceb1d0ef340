package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.vector.inference.TileLayout.Run;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Turns stored rows, one behind the other, into the tiles of {@link Codes}; once, when a head is loaded. */
final class TilePacker {
    private final PackedHead.Group group;
    private final EncodedMatrix left;
    private final BitProfile profile;
    private final PackedHead head;

    TilePacker(PackedHead.Group group, EncodedMatrix left, PackedHead head) {
        this.group = group;
        this.left = left;
        this.head = head;
        profile = left.profile();
    }

    /** Packs a tile, counted within the group. */
    void pack(int tile) {
        int first = tile * TILE;
        int rows = (int) Math.min(TILE, left.rows() - first);
        byte[] packed = new byte[(int) group.tileBytes()];
        int rowBytes = (int) profile.rowBytes();
        byte[] stored = new byte[rows * rowBytes];
        MemorySegment.copy(left.data(), (long) first * rowBytes, MemorySegment.ofArray(stored), 0, stored.length);
        for (int lane = 0; lane < rows; lane++) {
            if (profile.scaled()) {
                codes(stored, lane * rowBytes, lane, packed);
            } else {
                floats(stored, lane * rowBytes, lane, packed);
            }
        }
        MemorySegment.copy(
                packed, 0, head.codes, ValueLayout.JAVA_BYTE, group.at() + tile * group.tileBytes(), packed.length);
        if (profile.scaled()) {
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

    /** Numbers of some bytes, as they are. */
    private void floats(byte[] stored, int from, int lane, byte[] packed) {
        int bytes = profile.most() / Byte.SIZE;
        for (int d = 0; d < profile.width(); d++) {
            System.arraycopy(stored, from + d * bytes, packed, (d * TILE + lane) * bytes, bytes);
        }
    }

    private void codes(byte[] stored, int from, int lane, byte[] packed) {
        int at = from;
        int stream = 0;
        int filled = 0;
        for (Run run : group.layout().runs) {
            int together = run.kept().together;
            int fieldBits = run.kept().fieldBits();
            for (int d = run.from(); d < run.end(); d++) {
                int bits = profile.bits(d);
                if (filled < bits) {
                    stream |= (stored[at++] & 0xff) << filled;
                    filled += Byte.SIZE;
                }
                int code = stream & (1 << bits) - 1;
                stream >>>= bits;
                filled -= bits;
                int place = run.at(d) + lane;
                if (together == 1) {
                    packed[place] = (byte) CodeValues.value(bits, code);
                } else {
                    int shifted = code - (1 << bits - 1) + (run.signed(d) ? 0 : 1 << fieldBits - 1);
                    packed[place] |= (byte) (shifted << run.field(d) * fieldBits);
                }
            }
        }
    }
}
