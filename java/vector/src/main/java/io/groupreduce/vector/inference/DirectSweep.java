package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.vector.inference.TileLayout.Folded;
import io.groupreduce.vector.inference.TileLayout.Run;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * A few states straight over the codes of tiles, while a tile is in the cache; for each those tiles are left, as soon as bounds show it, that
 * can add nothing to an answer. A state's logits are the same bits whatever other states there are.
 */
final class DirectSweep {
    private final HeadPass pass;
    private final PackedHead head;
    private final StateProjection projection;

    DirectSweep(HeadPass pass, PackedHead head, StateProjection projection) {
        this.pass = pass;
        this.head = head;
        this.projection = projection;
    }

    /** Computes the logits of a tile and has them consumed; {@code bounds} is {@code null} where they are not looked at. */
    void sweep(int tile, int states, TailBounds bounds, Scratch s) {
        PackedHead.Group group = head.group(tile);
        int rank = group.rank();
        int waiting = 0;
        for (int state = 0; state < states; state++) {
            float least = pass.turnTo(state, tile, s);
            if (least == Float.POSITIVE_INFINITY) {
                continue;
            }
            if (bounds == null || rank == 0 || least == Float.NEGATIVE_INFINITY) {
                s.waiting[waiting++] = state;
                continue;
            }
            s.all += rank + 1;
            if (sums(state, tile, bounds, least, s)) {
                s.made += 1;
                consume(state, tile, s.sums, 0, s);
            }
        }
        int end;
        for (int first = 0; first < waiting; first = end) {
            end = first + 1;
            while (end < waiting && s.waiting[end] == s.waiting[end - 1] + 1) {
                end++;
            }
            together(s.waiting[first], end - first, tile, group, s);
        }
    }

    private void consume(int state, int tile, float[] sums, int at, Scratch s) {
        head.finish(tile, sums, at);
        pass.consume(state, tile, sums, at, s);
    }

    /** Neighbouring states that need all of a tile share the work on those of its codes that there are kernels of several states for. */
    private void together(int first, int count, int tile, PackedHead.Group group, Scratch s) {
        int from = group.rank() == 0 || group.segmentScales() != null
                ? group.rank()
                : group.layout().togetherFrom();
        if (count == 1 || from == group.rank()) {
            for (int state = first; state < first + count; state++) {
                sums(state, tile, s);
                consume(state, tile, s.sums, 0, s);
            }
            return;
        }
        Folded folded = projection.folded[head.groupOfTile[tile]];
        for (int i = 0; i < count; i++) {
            Arrays.fill(s.sums, 0, TILE, folded.rest(first + i, 0));
            add(first + i, tile, 0, from, s.sums);
            System.arraycopy(s.sums, 0, s.logits, i * TILE, TILE);
        }
        for (Run run : group.layout().runs) {
            for (int d = Math.max(from, run.from()); d < run.end(); d += run.kept().most) {
                long at = group.codesAt(tile) + run.at(d);
                int directions = Math.min(run.kept().most, run.end() - d);
                int z = first * folded.stride + run.foldedAt(d);
                TileKernel.add(
                        run.kept(), head.codes, at, directions, count, folded.numbers, z, folded.stride, s.logits);
            }
        }
        for (int i = 0; i < count; i++) {
            consume(first + i, tile, s.logits, i * TILE, s);
        }
    }

    /** The sums of a tile; of rows with one scale, before it. */
    private void sums(int state, int tile, Scratch s) {
        PackedHead.Group group = head.group(tile);
        if (group.segmentScales() != null) {
            segments(state, tile, group, s);
        } else if (group.rank() > 0) {
            Arrays.fill(s.sums, 0, TILE, projection.folded[head.groupOfTile[tile]].rest(state, 0));
            add(state, tile, 0, group.rank(), s.sums);
        } else {
            Arrays.fill(s.sums, 0, TILE, 0f);
        }
    }

    /**
     * Likewise, while it can be of use.
     *
     * @param least what a logit must reach
     * @return whether one may
     */
    private boolean sums(int state, int tile, TailBounds bounds, float least, Scratch s) {
        PackedHead.Group group = head.group(tile);
        int rank = group.rank();
        int index = projection.index(group.basis());
        float norm = projection.norm(state, index, 0, rank);
        float needed = bounds.needed(tile, rank, least, norm, projection.magnitude(state, index, rank));
        if (bounds.largestBias(tile) + bounds.rest(tile, 0, norm) < needed) {
            return false;
        }
        if (group.segmentScales() != null) {
            sums(state, tile, s);
            s.made += rank;
            return true;
        }
        Folded folded = projection.folded[head.groupOfTile[tile]];
        Arrays.fill(s.sums, 0, TILE, folded.rest(state, 0));
        for (int m = 0; m < rank; m += TailBounds.STEP) {
            if (m > 0) {
                float rest = bounds.rest(tile, m, projection.norm(state, index, m, rank));
                if (!reaches(tile, s.sums, folded.rest(state, m), needed - rest)) {
                    return false;
                }
            }
            int directions = Math.min(TailBounds.STEP, rank - m);
            add(state, tile, m, m + directions, s.sums);
            s.made += directions;
        }
        return true;
    }

    /** Adds directions {@code from .. to - 1} of a state to the sums of a tile. */
    private void add(int state, int tile, int from, int to, float[] sums) {
        PackedHead.Group group = head.group(tile);
        Folded folded = projection.folded[head.groupOfTile[tile]];
        int numbers = state * folded.stride;
        long codes = group.codesAt(tile);
        for (Run run : group.layout().runs) {
            int end = Math.min(to, run.end());
            int most = run.kept().most;
            for (int d = Math.max(from, run.from()); d < end; d += most) {
                int count = Math.min(most, end - d);
                int z = numbers + run.foldedAt(d);
                TileKernel.add(run.kept(), head.codes, codes + run.at(d), count, folded.numbers, z, sums);
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

    private void segments(int state, int tile, PackedHead.Group group, Scratch s) {
        Folded folded = projection.folded[head.groupOfTile[tile]];
        Arrays.fill(s.sums, 0, TILE, 0f);
        for (int segment = 0; segment < group.segments(); segment++) {
            int first = segment * group.segment();
            int end = Math.min(first + group.segment(), group.rank());
            Arrays.fill(s.part, 0, TILE, folded.start(state, first, end));
            add(state, tile, first, end, s.part);
            int scales = group.scalesAt(tile, segment);
            for (int i = 0; i < TILE; i += LANES) {
                FloatVector.fromArray(FLOATS, s.part, i)
                        .fma(
                                FloatVector.fromArray(FLOATS, group.segmentScales(), scales + i),
                                FloatVector.fromArray(FLOATS, s.sums, i))
                        .intoArray(s.sums, i);
            }
        }
    }
}
