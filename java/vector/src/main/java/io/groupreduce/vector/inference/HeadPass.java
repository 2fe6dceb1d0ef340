package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.inference.PassScratch.PANEL;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.matrix.Codec;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * One pass of some hidden states over all tiles of a head: the scratch memory of a query and its work.
 *
 * <pre>x = (L_p[i] . z_b[0 : k_p]) scale_i + bias_i</pre>
 *
 * <p>First the coordinates z, a panel of directions a task; then the tiles, some of them a task, the number and order of which depend on
 * the head alone. A single state goes straight over the codes and may leave tiles out; several share the decoding of a tile and one matrix
 * product. Logits of a tile go into the running softmax of the task, the worker's top tokens or noise, and are forgotten. Sums of tasks are
 * merged in order, tokens have a total order: nothing depends on who computed what.
 */
final class HeadPass implements Workers.Task {
    /** States taken together: whole rows of the matrix product. */
    static final int MOST_STATES = 44 * Lanes.MR;

    /** Below this many bytes of work a second thread costs more than it saves. */
    private static final long SHARED_BYTES = 1 << 19;

    private static final int TASKS = 256;
    /** The end of a task costs an exponential for every lane of every state, so it should not come too soon. */
    private static final int FEWEST_TILES = 16;

    private static final int MOST_TILES = 32;

    /** One of so many tasks goes first, to find what the rest is compared with. */
    private static final int LEAD = 16;

    private final PackedHead head;
    private final StateProjection projection;
    private final TailBounds bounds;
    private final Projected projected;
    private final PassScratch[] scratch;
    private final int tilesOfTask;
    private final int tasks;
    private final long headBytes;
    private final long projectionBytes;
    private final MergedSoftmax merged = new MergedSoftmax();

    private int states;
    private boolean projecting;
    private int firstTask;
    private HeadQuestion question;
    private boolean pruning;
    private float limit;

    /** {@code bounds} is {@code null} where nothing is left out. */
    HeadPass(PackedHead head, StateProjection projection, TailBounds bounds, int columns, int workers) {
        this.head = head;
        this.projection = projection;
        this.bounds = bounds;
        projected = new Projected(projection, columns);
        tilesOfTask = Math.clamp(Math.ceilDiv(head.tiles(), TASKS), FEWEST_TILES, MOST_TILES);
        tasks = Math.ceilDiv(head.tiles(), tilesOfTask);
        headBytes = head.bytes();
        projectionBytes = projection.bytes();
        scratch = new PassScratch[workers];
        for (int w = 0; w < workers; w++) {
            scratch[w] = new PassScratch();
        }
    }

    /** Room for so many hidden states, at most {@link #MOST_STATES}; {@link #hidden} is where they go. */
    void reserve(int count) {
        projected.reserve(count);
        for (PassScratch s : scratch) {
            s.reserve(count);
        }
    }

    float[] hidden() {
        return projected.hidden();
    }

    Projected projected() {
        return projected;
    }

    /** Computes the coordinates of the states in {@link #hidden}. */
    void project(Workers workers, int count) {
        states = count;
        projecting = true;
        run(workers, projection.tasks(), projectionBytes * count);
        if (states == 1) {
            projected.prepareSingle();
        }
    }

    private void run(Workers workers, int count, long bytes) {
        if (bytes < SHARED_BYTES) {
            for (int task = 0; task < count; task++) {
                run(task, 0);
            }
        } else {
            workers.runOrAlone(count, this);
        }
    }

    /**
     * Asks about the projected states.
     *
     * @param prune whether to leave out what cannot matter; only for a single state
     * @return the share of the multiplications that was made
     */
    double ask(Workers workers, HeadQuestion asked, boolean prune) {
        question = asked;
        projecting = false;
        boolean bounded = bounds != null && prune;
        if (asked.summed) {
            merged.start(tasks, states);
        }
        for (PassScratch s : scratch) {
            s.start(asked, states);
        }
        long bytes = headBytes * states;
        int lead = bounded ? Math.max(1, tasks / LEAD) : tasks;
        pruning = false;
        firstTask = 0;
        run(workers, lead, bytes * lead / tasks);
        if (bounded) {
            limit = limit(lead);
            pruning = true;
            firstTask = lead;
            run(workers, tasks - lead, bytes);
        }
        for (int w = 1; w < scratch.length; w++) {
            if (asked.k > 0) {
                scratch[0].ranking.merge(scratch[w].ranking, states);
            }
            if (asked.noise) {
                scratch[0].noise.merge(scratch[w].noise, states);
            }
        }
        double made = 0;
        double all = 0;
        for (PassScratch s : scratch) {
            made += s.made;
            all += s.all;
        }
        return all == 0 ? 1 : made / all;
    }

    /**
     * After the first tasks: the logit below which a token matters to nobody. With a sum, tokens are left out that together add no
     * more than the tolerance to it, which must not depend on the threads; without, every worker compares with its own list too.
     */
    private float limit(int lead) {
        float found = Float.POSITIVE_INFINITY;
        if (question.k > 0) {
            Ranking merged = scratch[0].ranking;
            for (int w = 1; w < scratch.length; w++) {
                merged.merge(scratch[w].ranking, 1);
                scratch[w].ranking.start(1, question.k);
            }
            found = merged.threshold(0);
        }
        for (int w = 1; question.noise && w < scratch.length; w++) {
            scratch[0].noise.merge(scratch[w].noise, 1);
            scratch[w].noise.merge(scratch[0].noise, 1);
        }
        if (question.summed) {
            float maximum = merged.maximum(0, lead);
            double sum = merged.sum(0, lead, maximum, question.inverse);
            double negligible = Math.log(question.tolerance * sum / head.tokenCount());
            found = Math.min(found, (float) (maximum + negligible / question.inverse));
        }
        return found;
    }

    @Override
    public void run(int task, int worker) {
        if (projecting) {
            projection.project(task, hidden(), states, projected.z);
            return;
        }
        PassScratch s = scratch[worker];
        int number = firstTask + task;
        if (question.summed) {
            s.softmax.start(states);
        }
        int end = Math.min(head.tiles(), (number + 1) * tilesOfTask);
        for (int tile = number * tilesOfTask; tile < end; tile++) {
            if (states == 1) {
                single(tile, s);
            } else {
                several(tile, s);
            }
        }
        if (question.summed) {
            merged.take(number, s.softmax, question.inverse);
        }
    }

    private void single(int tile, PassScratch s) {
        PackedGroup group = head.group(tile);
        int rank = group.rank();
        int place = tile * TILE;
        s.all += rank + 1;
        double noise = question.noise ? s.noise.largestNoise(0, head.tokens, place) : 0;
        Arrays.fill(s.logits, 0, TILE, 0f);
        float least = pruning ? least(s, noise) : Float.NEGATIVE_INFINITY;
        if (rank > 0 && !sums(tile, group, s, least)) {
            return;
        }
        s.made += 1;
        head.finish(tile, s.logits, 0);
        consume(0, 0, group.rows(tile), place, noise, s);
        if (question.summed) {
            s.softmax.add(0, 1, s.logits, question.inverse);
        }
    }

    private float least(PassScratch s, double noise) {
        if (question.summed) {
            return limit;
        }
        return question.noise ? (float) s.noise.limit(0, noise) : Math.max(limit, s.ranking.threshold(0));
    }

    /**
     * The sums of a tile; of rows with one scale, before it.
     *
     * @param least what a logit must reach
     * @return whether one may
     */
    private boolean sums(int tile, PackedGroup group, PassScratch s, float least) {
        int rank = group.rank();
        int index = projected.index(group.basis());
        boolean bounded = least > Float.NEGATIVE_INFINITY;
        float needed = least;
        if (bounded) {
            float norm = projected.norm(index, 0, rank);
            needed -= bounds.rounding(tile, rank, norm, projected.magnitude(index, rank));
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
                float rest = bounds.rest(tile, m, projected.norm(index, m, rank));
                if (!reaches(tile, s.logits, needed - rest)) {
                    return false;
                }
            }
            add(group, tile, m, directions, index, s, s.logits);
            s.made += directions;
        }
        return true;
    }

    /** Adds some directions of the single state to the sums of a tile. */
    private void add(PackedGroup group, int tile, int first, int directions, int index, PassScratch s, float[] into) {
        boolean pairs = group.kept() == Codec.INT4;
        float[] z = pairs ? projected.paired[index] : projected.z[index];
        int even = pairs ? directions & -2 : directions;
        if (even > 0) {
            TileKernel.add(group.kept(), head.codes, group.codesAt(tile, first), even, z, first, into);
        }
        if (even < directions) {
            // The pair's second direction is not the row's: whatever the state has there must not come in, not even by
            // rounding.
            s.last[0] = projected.z[index][first + even] * Codes.FROM_TOP;
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

    private void segments(int tile, PackedGroup group, int index, PassScratch s) {
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

    private void several(int tile, PassScratch s) {
        PackedGroup group = head.group(tile);
        int rank = group.rank();
        if (rank == 0) {
            Arrays.fill(s.logits, 0, states * TILE, 0f);
        } else {
            int index = projected.index(group.basis());
            for (int m = 0; m < rank; m += TileKernel.DIRECTIONS) {
                product(tile, index, m, Math.min(TileKernel.DIRECTIONS, rank - m), s);
            }
        }
        int rows = group.rows(tile);
        for (int state = 0; state < states; state++) {
            head.finish(tile, s.logits, state * TILE);
            double noise = question.noise ? s.noise.largestNoise(state, head.tokens, tile * TILE) : 0;
            consume(state, state * TILE, rows, tile * TILE, noise, s);
        }
        if (question.summed) {
            s.softmax.add(0, states, s.logits, question.inverse);
        }
    }

    /** Adds some directions of all states. */
    private void product(int tile, int index, int first, int directions, PassScratch s) {
        int stride = projected.stride(index);
        float[] panels = s.panels();
        DecodedTile.decode(head, tile, first, directions, panels, PANEL);
        for (int p = 0; p < TILE / NR; p++) {
            float[] z = projected.z[index];
            Gemm.panel(z, first, stride, states, directions, panels, p * PANEL, s.logits, p * NR, TILE, first > 0);
        }
    }

    private void consume(int state, int at, int rows, int place, double noise, PassScratch s) {
        if (question.k > 0) {
            s.ranking.add(state, s.logits, at, TILE, rows, head.tokens, place);
        }
        if (question.noise) {
            s.noise.add(state, s.logits, at, rows, head.tokens, place, noise);
        }
        if (question.target != null) {
            long row = (question.targetRow + state) * head.tokenCount();
            for (int i = 0; i < rows; i++) {
                question.target.setAtIndex(
                        ValueLayout.JAVA_FLOAT_UNALIGNED, row + head.tokens[place + i], s.logits[at + i]);
            }
        }
    }

    /** The top tokens found. */
    Ranking ranking() {
        return scratch[0].ranking;
    }

    /** The tokens drawn. */
    NoiseSearch noise() {
        return scratch[0].noise;
    }

    /** sum exp((x - m) / T) with m the largest logit. */
    double sum(int state) {
        return merged.sum(state, tasks, merged.maximum(state, tasks), question.inverse);
    }

    /** log sum exp(x / T). */
    double logSumExp(int state) {
        return merged.logSumExp(state, tasks, question.inverse);
    }
}
