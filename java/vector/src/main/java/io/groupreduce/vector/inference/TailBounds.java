package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;

import io.groupreduce.api.Pruning;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * What the directions of a tile from some m on can still add to a logit. Directions fall in energy, so the rest shrinks fast.
 *
 * <pre>|sum over d >= m of L[i, d] z[d]|  <=  t[tile][m] ||z[m : k]||,   t[tile][m] = max over rows i of ||L[i, m : k]||</pre>
 *
 * <p>by Cauchy and Schwarz, for m = 0, {@link #STEP}, 2 {@link #STEP} and so on. A tile is left where the largest sum so far plus this
 * is below what a logit needs to be of use. Measured on the hidden states of two language models, boxes, centroids and whitened
 * norms save no more for their price than these. Kept: one float for STEP directions of a tile and three more a tile.
 *
 * <p>Sums are rounded: what single precision can be off by is added to the bound (Higham, Accuracy and Stability of Numerical Algorithms,
 * 2002, section 3.1), so that leaving out never changes an answer.
 *
 * <p>Bounds are used while they leave out a fifth of the multiplications, which is what looking at them costs and a little more, or
 * a larger share where several states ask, and tried again now and then where they did not.
 */
final class TailBounds {
    /** Directions between two looks at a tile. */
    static final int STEP = 32;

    /** Twice the unit roundoff of single precision: the sum, and as much again for the bound itself. */
    private static final float ROUNDING = 0x1p-23f;

    /**
     * What a coordinate is multiplied with at most, all in all, where codes share bytes: a value is below 128, and as much goes with it
     * twice for what other fields of the byte add and take away again.
     */
    private static final float LARGEST_SHARED = 512;

    /** More than what a capped logit is off by, in units of the cap. */
    private static final double CAP_ROUNDING = 0x1p-20;

    /** Queries with bounds after which their worth is judged, and queries without until they are tried again. */
    private static final int TRIED = 32;

    private static final int PAUSE = 2048;

    /** By the number of states, the least share that must be saved: states share the work on a tile that none leaves out. */
    private static final double[] ENOUGH = {0, 0.2, 0.35, 0.4, 0.5};

    private static final int UNIT = 1 << 20;

    private final int[] start;
    private final float[] tails;
    private final float[] largestBias;
    private final float[] largestMagnitude;
    private final float[] sharedScale;
    private final double cap;
    private final Pruning pruning;
    /** By the number of states. */
    private final AtomicIntegerArray queries = new AtomicIntegerArray(ENOUGH.length);

    private final AtomicIntegerArray left = new AtomicIntegerArray(ENOUGH.length);

    TailBounds(Workers workers, PackedHead head, Pruning pruning) {
        this.pruning = pruning;
        cap = head.cap;
        int tiles = head.tiles();
        start = new int[tiles + 1];
        for (int t = 0; t < tiles; t++) {
            start[t + 1] = start[t] + Math.ceilDiv(head.group(t).rank(), STEP) + 1;
        }
        tails = new float[start[tiles]];
        largestBias = new float[tiles];
        largestMagnitude = new float[tiles];
        sharedScale = new float[tiles];
        Squares[] scratch = new Squares[workers.count()];
        Arrays.setAll(scratch, worker -> new Squares(head));
        workers.run(tiles, (tile, worker) -> measure(head, tile, scratch[worker]));
    }

    private void measure(PackedHead head, int tile, Squares squares) {
        PackedHead.Group group = head.group(tile);
        int rows = group.rows(tile);
        largestBias[tile] = Float.NEGATIVE_INFINITY;
        for (int place = tile * TILE; place < tile * TILE + rows; place++) {
            largestBias[tile] = Math.max(largestBias[tile], head.bias[place]);
            largestMagnitude[tile] = Math.max(largestMagnitude[tile], Math.abs(head.bias[place]));
        }
        boolean segmented = group.segmentScales() != null;
        float[] scales = segmented ? group.segmentScales() : head.scales;
        double[] rest = new double[TILE];
        squares.read(tile);
        for (int step = Math.ceilDiv(group.rank(), STEP) - 1; step >= 0; step--) {
            int from = segmented ? group.scalesAt(tile, step * STEP / group.segment()) : tile * TILE;
            tails[start[tile] + step] = Math.nextUp((float) Math.sqrt(squares.addTo(rest, step, scales, from, rows)));
            for (int i = from; i < from + rows && group.layout().shared(); i++) {
                sharedScale[tile] = Math.max(sharedScale[tile], LARGEST_SHARED * Math.abs(scales[i]));
            }
        }
    }

    /** The most that directions from {@code m} on, a multiple of {@link #STEP}, add, given the norm of z from there on. */
    float rest(int tile, int m, float norm) {
        return tails[start[tile] + m / STEP] * norm;
    }

    float largestBias(int tile) {
        return largestBias[tile];
    }

    /**
     * What a logit of the tile, whole or in part, must reach as it is computed and before it is capped, so that it may be {@code least}.
     *
     * @param norm of z
     * @param sumOfMagnitudes of z
     */
    float needed(int tile, int rank, float least, float norm, float sumOfMagnitudes) {
        float size = tails[start[tile]] * norm + sharedScale[tile] * sumOfMagnitudes + largestMagnitude[tile];
        return beforeCap(least) - (rank + 8) * ROUNDING * size;
    }

    /** At most what the cap turns into {@code least}, the rounding of the cap included. */
    private float beforeCap(float least) {
        if (cap == 0) {
            return least;
        }
        double x = Math.min(least / cap - CAP_ROUNDING, 1 - CAP_ROUNDING);
        return x <= -1 ? Float.NEGATIVE_INFINITY : (float) (cap * 0.5 * Math.log((1 + x) / (1 - x)));
    }

    /** Whether the next query of so many states should use bounds. */
    boolean worthTrying(int states) {
        if (pruning != Pruning.AUTO) {
            return pruning == Pruning.ALWAYS;
        }
        // Below zero: a pause, counted up query by query.
        return queries.get(states) >= 0 || queries.incrementAndGet(states) >= 0;
    }

    /** Takes note of a query of so many states that used bounds and made this share of the multiplications. */
    void add(int states, double made) {
        int sum = left.addAndGet(states, (int) ((1 - made) * (UNIT / TRIED)));
        if (pruning == Pruning.AUTO && queries.incrementAndGet(states) == TRIED) {
            left.addAndGet(states, -sum);
            queries.set(states, sum < ENOUGH[states] * UNIT ? -PAUSE : 0);
        }
    }
}
