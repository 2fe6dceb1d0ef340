package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.Codec;
import io.groupreduce.vector.inference.HeadPass.Scratch;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/** A single state straight over the codes of tiles, of which those are left, as soon as bounds show it, that can add nothing to the answer. */
final class SingleSweep extends HeadPass.Sweep {
    private final TailBounds bounds;
    private final float limit;

    /** All tasks, and nothing left out. */
    SingleSweep(HeadPass pass) {
        this(pass, 0, null, Float.NEGATIVE_INFINITY);
    }

    /** The tasks from {@code firstTask} on, without tokens whose logit is below {@code limit}. */
    SingleSweep(HeadPass pass, int firstTask, TailBounds bounds, float limit) {
        super(pass, firstTask);
        this.bounds = bounds;
        this.limit = limit;
    }

    @Override
    void sweep(int tile, Scratch s) {
        PackedHead.Group group = head.group(tile);
        int rank = group.rank();
        s.all += rank + 1;
        double noise = question.drawn() ? s.noise.largestNoise(0, head.tokens, tile * TILE) : 0;
        Arrays.fill(s.logits, 0, TILE, 0f);
        if (rank > 0 && !sums(tile, group, s, bounds == null ? Float.NEGATIVE_INFINITY : least(s, noise))) {
            return;
        }
        s.made += 1;
        head.finish(tile, s.logits, 0);
        consume(0, 0, tile, noise, s);
        if (question.summed()) {
            s.softmax.add(0, 1, s.logits, question.inverse());
        }
    }

    private float least(Scratch s, double noise) {
        if (question.summed()) {
            return limit;
        }
        return question.drawn() ? (float) s.noise.limit(0, noise) : Math.max(limit, s.ranking.threshold(0));
    }

    /**
     * The sums of a tile; of rows with one scale, before it.
     *
     * @param least what a logit must reach
     * @return whether one may
     */
    private boolean sums(int tile, PackedHead.Group group, Scratch s, float least) {
        int rank = group.rank();
        int index = projection.index(group.basis());
        boolean bounded = least > Float.NEGATIVE_INFINITY;
        float needed = least;
        if (bounded) {
            float norm = projection.norm(index, 0, rank);
            needed -= bounds.rounding(tile, rank, norm, projection.magnitude(index, rank));
            if (bounds.largestBias(tile) + bounds.rest(tile, 0, norm) < needed) {
                return false;
            }
        }
        if (group.segmentScales() != null) {
            segments(tile, group, index, s);
            s.made += rank;
            return true;
        }
        int step = bounded ? TailBounds.STEP : TileKernel.DIRECTIONS;
        for (int m = 0; m < rank; m += step) {
            int directions = Math.min(step, rank - m);
            if (bounded && m > 0) {
                float rest = bounds.rest(tile, m, projection.norm(index, m, rank));
                if (!reaches(tile, s.logits, needed - rest)) {
                    return false;
                }
            }
            add(group, tile, m, directions, index, s, s.logits);
            s.made += directions;
        }
        return true;
    }

    /** Adds some directions of the state to the sums of a tile. */
    private void add(PackedHead.Group group, int tile, int first, int directions, int index, Scratch s, float[] into) {
        boolean pairs = group.kept() == Codec.INT4;
        float[] z = pairs ? projection.paired[index] : projection.z[index];
        int even = pairs ? directions & -2 : directions;
        if (even > 0) {
            TileKernel.add(group.kept(), head.codes, group.codesAt(tile, first), even, z, first, into);
        }
        if (even < directions) {
            // The pair's second direction is not the row's: whatever the state has there must not come in, not even by
            // rounding.
            s.last[0] = projection.z[index][first + even] * Codes.FROM_TOP;
            TileKernel.add(group.kept(), head.codes, group.codesAt(tile, first + even), 1, s.last, 0, into);
        }
    }

    private boolean reaches(int tile, float[] partial, float needed) {
        FloatVector largest = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
        int place = tile * TILE;
        for (int i = 0; i < TILE; i += LANES) {
            FloatVector scale = FloatVector.fromArray(FLOATS, head.scales, place + i);
            FloatVector bias = FloatVector.fromArray(FLOATS, head.bias, place + i);
            largest = largest.max(FloatVector.fromArray(FLOATS, partial, i).fma(scale, bias));
        }
        return largest.lt(needed).not().anyTrue();
    }

    private void segments(int tile, PackedHead.Group group, int index, Scratch s) {
        for (int segment = 0; segment < group.segments(); segment++) {
            int first = segment * group.segment();
            int directions = Math.min(group.segment(), group.rank() - first);
            Arrays.fill(s.part, 0, TILE, 0f);
            add(group, tile, first, directions, index, s, s.part);
            int scales = group.scalesAt(tile, segment);
            for (int i = 0; i < TILE; i += LANES) {
                FloatVector.fromArray(FLOATS, s.part, i)
                        .fma(
                                FloatVector.fromArray(FLOATS, group.segmentScales(), scales + i),
                                FloatVector.fromArray(FLOATS, s.logits, i))
                        .intoArray(s.logits, i);
            }
        }
    }
}
