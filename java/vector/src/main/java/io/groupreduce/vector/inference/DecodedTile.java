package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import jdk.incubator.vector.FloatVector;

/** Directions of a tile as numbers, with the scales of segments but not that of a row. */
final class DecodedTile {
    private DecodedTile() {}

    /**
     * Decodes directions {@code from .. from + directions - 1} of a tile.
     *
     * @param from even
     * @param panels TILE / NR panels, {@code stride} floats apart, each with room for one direction more
     */
    static void decode(PackedHead head, int tile, int from, int directions, float[] panels, int stride) {
        PackedGroup group = head.group(tile);
        TileDecoder.decode(group.kept(), head.codes, group.codesAt(tile, from), directions, panels, stride);
        if (group.segmentScales() != null) {
            int end = from + directions;
            for (int first = from; first < end; ) {
                int segment = first / group.segment();
                int next = Math.min(end, (segment + 1) * group.segment());
                int scales = group.scalesAt(tile, segment);
                scale(group.segmentScales(), scales, panels, stride, first - from, next - first);
                first = next;
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
