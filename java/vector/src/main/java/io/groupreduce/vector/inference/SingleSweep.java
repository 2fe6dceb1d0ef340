package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.vector.inference.HeadPass.Scratch;
import io.groupreduce.vector.inference.TileLayout.Folded;
import io.groupreduce.vector.inference.TileLayout.Run;
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
        if (rank == 0) {
            Arrays.fill(s.logits, 0, TILE, 0f);
        } else if (!sums(tile, group, s, bounds == null ? Float.NEGATIVE_INFINITY : least(s, noise))) {
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
            segments(tile, group, s);
            s.made += rank;
            return true;
        }
        Folded folded = projection.folded[head.groupOfTile[tile]];
        Arrays.fill(s.logits, 0, TILE, folded.rest(0));
        int step = bounded ? TailBounds.STEP : rank;
        for (int m = 0; m < rank; m += step) {
            int directions = Math.min(step, rank - m);
            if (bounded && m > 0) {
                float rest = bounds.rest(tile, m, projection.norm(index, m, rank));
                if (!reaches(tile, s.logits, folded.rest(m), needed - rest)) {
                    return false;
                }
            }
            add(group, tile, m, m + directions, s.logits);
            s.made += directions;
        }
        return true;
    }

    /** Adds directions {@code from .. to - 1} of the state to the sums of a tile. */
    private void add(PackedHead.Group group, int tile, int from, int to, float[] sums) {
        float[] numbers = projection.folded[head.groupOfTile[tile]].numbers;
        long codes = group.codesAt(tile);
        for (Run run : group.layout().runs) {
            int end = Math.min(to, run.end());
            int most = run.kept().most;
            for (int d = Math.max(from, run.from()); d < end; d += most) {
                int count = Math.min(most, end - d);
                TileKernel.add(run.kept(), head.codes, codes + run.at(d), count, numbers, run.foldedAt(d), sums);
            }
        }
    }

    /** Whether a row may have what is needed; {@code ahead} is what sums have of directions that are not yet added. */
    private boolean reaches(int tile, float[] partial, float ahead, float needed) {
        FloatVector largest = FloatVector.broadcast(FLOATS, Float.NEGATIVE_INFINITY);
        int place = tile * TILE;
        for (int i = 0; i < TILE; i += LANES) {
            FloatVector scale = FloatVector.fromArray(FLOATS, head.scales, place + i);
            FloatVector bias = FloatVector.fromArray(FLOATS, head.bias, place + i);
            largest = largest.max(
                    FloatVector.fromArray(FLOATS, partial, i).sub(ahead).fma(scale, bias));
        }
        return largest.lt(needed).not().anyTrue();
    }

    private void segments(int tile, PackedHead.Group group, Scratch s) {
        Folded folded = projection.folded[head.groupOfTile[tile]];
        Arrays.fill(s.logits, 0, TILE, 0f);
        for (int segment = 0; segment < group.segments(); segment++) {
            int first = segment * group.segment();
            int end = Math.min(first + group.segment(), group.rank());
            Arrays.fill(s.part, 0, TILE, folded.start(first, end));
            add(group, tile, first, end, s.part);
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
