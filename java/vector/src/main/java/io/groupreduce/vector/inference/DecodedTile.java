package io.groupreduce.vector.inference;

import static io.groupreduce.vector.Lanes.FLOATS;
import static io.groupreduce.vector.Lanes.LANES;
import static io.groupreduce.vector.Lanes.NR;
import static io.groupreduce.vector.inference.Codes.TILE;

import jdk.incubator.vector.FloatVector;

/** All directions of a tile as numbers, with the scales of segments but not that of a row. */
final class DecodedTile {
    private DecodedTile() {}

    /**
     * Decodes a tile of rank above 0.
     *
     * @param panels TILE / NR panels, {@code stride} floats apart, each with room for one direction more than the rank
     */
    static void decode(PackedHead head, int tile, float[] panels, int stride) {
        PackedGroup group = head.group(tile);
        int rank = group.rank();
        for (int s = 0; s < group.segments(); s++) {
            int first = s * group.segment();
            int directions = Math.min(group.segment(), rank - first);
            TileDecoder.decode(group.kept(), head.codes, group.codesAt(tile, first), directions, panels, stride, first);
            if (group.segmentScales() != null) {
                scale(group.segmentScales(), group.scalesAt(tile, s), panels, stride, first, directions);
            }
        }
    }

    private static void scale(float[] scales, int from, float[] panels, int stride, int first, int directions) {
        for (int lane = 0; lane < TILE; lane += LANES) {
            FloatVector scale = FloatVector.fromArray(FLOATS, scales, from + lane);
            int at = lane / NR * stride + lane % NR + first * NR;
            for (int d = 0; d < directions; d++, at += NR) {
                FloatVector.fromArray(FLOATS, panels, at).mul(scale).intoArray(panels, at);
            }
        }
    }
}
