package io.groupreduce.vector.training;

import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.MR;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.vector.compress.GroupTiles;
import io.groupreduce.vector.kernel.Exponential;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.MicroKernel;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;

/**
 * The second pass of a calibration step: gradients, and at once the step of the left rows and the bias of a tile.
 *
 * <pre>g = (q - p) / B,   dY = g z^T,   dz^T += Yq^T g,   dbias = g 1,   g: tile rows x B</pre>
 *
 * <p>Trained tiles are cut into shares, one task each; a share sums its part of dz^T, and parts are added in order, so that no
 * result depends on the number of threads. Bytes: A and the left numbers once (12 read and written a number), shares' parts of
 * dz^T from the second-level cache. Never materialised: g, p or q beyond a tile, a gradient of left rows beyond a tile.
 */
final class CalibrationGradient {
    /** Columns of a panel that whole blocks of the kernel cover, so that none writes beyond its rows of dz^T. */
    private static final int PANEL = NR / MR * MR;

    private static final int MOST_SHARES = 64;
    private static final int TILES_PER_SHARE = 6;

    /** What the parts of dz^T may take before there are fewer shares, though never fewer than {@link #FEWEST_SHARES}. */
    private static final long PART_BYTES = 256L << 20;

    private static final int FEWEST_SHARES = 16;

    private final Workers workers;
    private final GroupTiles tiles;
    private final List<GroupPlan> groups;
    private final LogitTiles logits;
    private final TrainedLeft left;
    private final TrainedRight right;
    private final TrainedBias bias;
    private final int[] trainedTiles;
    private final int longest;

    /** Made for a number of states and kept until another comes. */
    private int padded;

    private float[][][] parts;
    private Scratch[] scratch;

    /** Gradients for these parameters; {@code bias} is {@code null} when none is trained. */
    CalibrationGradient(
            Workers workers,
            GroupTiles tiles,
            List<GroupPlan> groups,
            LogitTiles logits,
            TrainedLeft left,
            TrainedRight right,
            TrainedBias bias) {
        this.workers = workers;
        this.tiles = tiles;
        this.groups = groups;
        this.logits = logits;
        this.left = left;
        this.right = right;
        this.bias = bias;
        trainedTiles = IntStream.range(0, tiles.count())
                .filter(tile -> bias != null || TrainedLeft.trained(groups.get(tiles.group(tile))))
                .toArray();
        longest = groups.stream()
                .filter(TrainedLeft::trained)
                .mapToInt(GroupPlan::rank)
                .max()
                .orElse(0);
    }

    /**
     * Moves left rows and bias, and returns dz^T.
     *
     * @param denseLogSumExp of every state of the batch
     * @param compressedLogSumExp likewise
     * @return per basis, k_b x B rounded up to whole panels
     */
    float[][] run(CalibrationBatch batch, float[] denseLogSumExp, float[] compressedLogSumExp, AdamStep step) {
        prepare(batch.padded());
        PackedMatrix[] transposed = batch.transposedCoordinates(workers);
        Softmax softmax = new Softmax(denseLogSumExp, compressedLogSumExp, weights(batch));
        workers.run(parts.length, (share, worker) -> {
            for (float[] part : parts[share]) {
                Arrays.fill(part, 0);
            }
            if (scratch[worker] == null) {
                scratch[worker] = new Scratch();
            }
            int end = (int) ((share + 1L) * trainedTiles.length / parts.length);
            for (int t = (int) ((long) share * trainedTiles.length / parts.length); t < end; t++) {
                tile(trainedTiles[t], batch, transposed, softmax, parts[share], step, scratch[worker]);
            }
        });
        return sum(batch);
    }

    /** log sum exp of both heads and what a state weighs, per state. */
    private record Softmax(float[] dense, float[] compressed, float[] weights) {}

    /** 1 / B, and 0 for states that only fill up a panel. */
    private static float[] weights(CalibrationBatch batch) {
        float[] weights = new float[batch.padded()];
        Arrays.fill(weights, 0, batch.states(), 1f / batch.states());
        return weights;
    }

    private void prepare(int states) {
        if (states == padded) {
            return;
        }
        padded = states;
        scratch = new Scratch[workers.count()];
        long partBytes = Float.BYTES;
        for (int b = 0; b < right.bases(); b++) {
            partBytes += (long) Float.BYTES * states * Lanes.padRows(right.rank(b));
        }
        int shares = Math.min(MOST_SHARES, Math.ceilDiv(trainedTiles.length, TILES_PER_SHARE));
        int affordable = (int) Math.max(FEWEST_SHARES, Math.min(MOST_SHARES, PART_BYTES / partBytes));
        parts = new float[Math.min(shares, affordable)][right.bases()][];
        for (float[][] part : parts) {
            for (int b = 0; b < part.length; b++) {
                part[b] = new float[states * Lanes.padRows(right.rank(b))];
            }
        }
    }

    private void tile(
            int tile,
            CalibrationBatch batch,
            PackedMatrix[] transposed,
            Softmax softmax,
            float[][] part,
            AdamStep step,
            Scratch s) {
        int rows = tiles.rows(tile);
        GroupPlan plan = groups.get(tiles.group(tile));
        s.rows.load(tile);
        for (int panel = 0; panel < batch.panels(); panel++) {
            s.rows.teacher(batch, panel, s.dense);
            s.rows.student(batch, panel, s.gradient[panel]);
            difference(s.dense, s.gradient[panel], rows, panel * NR, softmax);
        }
        if (TrainedLeft.trained(plan)) {
            int rank = plan.rank();
            pack(s.rows.factors(), rows, rank, s.packed);
            addToCoordinates(rows, rank, s, part[plan.basis()], right.rank(plan.basis()));
            int stride = Lanes.padColumns(rank);
            leftGradient(rows, rank, s, transposed[plan.basis()], stride);
            left.update(tile, s.leftGradient, stride, step);
        }
        if (bias != null) {
            for (int i = 0; i < rows; i++) {
                s.rowSum[0] = rowSum(s.gradient, i, s.lanes);
                bias.update(tiles.order()[tiles.first(tile) + i], s.rowSum, step);
            }
        }
    }

    /** {@code y = (softmax y - softmax z) weight}, where z are dense and y compressed logits, rows x NR. */
    private static void difference(float[] z, float[] y, int rows, int state, Softmax softmax) {
        for (int j = 0; j < NR; j += LANES) {
            FloatVector dense = FloatVector.fromArray(FLOATS, softmax.dense(), state + j);
            FloatVector compressed = FloatVector.fromArray(FLOATS, softmax.compressed(), state + j);
            FloatVector weight = FloatVector.fromArray(FLOATS, softmax.weights(), state + j);
            for (int at = j; at < rows * NR; at += NR) {
                FloatVector q =
                        Exponential.of(FloatVector.fromArray(FLOATS, y, at).sub(compressed));
                FloatVector p =
                        Exponential.of(FloatVector.fromArray(FLOATS, z, at).sub(dense));
                q.sub(p).mul(weight).intoArray(y, at);
            }
        }
    }

    /** Packs left rows into panels of {@link #PANEL} columns, NR apart; blocks beyond the rank are filled up with zeros. */
    private static void pack(float[] factors, int rows, int rank, float[][] packed) {
        for (int p = 0; p * PANEL < rank; p++) {
            int width = Math.min(PANEL, rank - p * PANEL);
            for (int i = 0; i < rows; i++) {
                System.arraycopy(factors, i * rank + p * PANEL, packed[p], i * NR, width);
                Arrays.fill(packed[p], i * NR + width, i * NR + Lanes.padRows(width), 0);
            }
        }
    }

    /** {@code dz^T += Yq^T g}, a panel of states at a time; {@code part} holds panels of k_b x NR. */
    private static void addToCoordinates(int rows, int rank, Scratch s, float[] part, int basisRank) {
        int panelSize = Lanes.padRows(basisRank) * NR;
        for (int panel = 0; panel < s.gradient.length; panel++) {
            for (int k = 0; k < rank; k += MR) {
                MicroKernel.columns(
                        rows,
                        s.packed[k / PANEL],
                        k % PANEL,
                        s.gradient[panel],
                        0,
                        part,
                        panel * panelSize + k * NR,
                        true);
            }
        }
    }

    /** {@code dY = g z^T}, rows x k_p. */
    private static void leftGradient(int rows, int rank, Scratch s, PackedMatrix transposed, int stride) {
        for (int p = 0; p * NR < rank; p++) {
            for (int panel = 0; panel < s.gradient.length; panel++) {
                for (int i = 0; i < rows; i += MR) {
                    MicroKernel.rows(
                            NR,
                            s.gradient[panel],
                            i * NR,
                            NR,
                            transposed.panel(p),
                            panel * NR * NR,
                            s.leftGradient,
                            i * stride + p * NR,
                            stride,
                            panel > 0);
                }
            }
        }
    }

    /** The sum of a row of g, four lanes at a time in the end: the order is always the same. */
    private static float rowSum(float[][] gradient, int row, float[] lanes) {
        FloatVector even = FloatVector.zero(FLOATS);
        FloatVector odd = even;
        for (float[] panel : gradient) {
            for (int at = row * NR; at < row * NR + NR; at += 2 * LANES) {
                even = even.add(FloatVector.fromArray(FLOATS, panel, at));
                odd = odd.add(FloatVector.fromArray(FLOATS, panel, at + LANES));
            }
        }
        even.add(odd).intoArray(lanes, 0);
        float a = 0;
        float b = 0;
        float c = 0;
        float d = 0;
        for (int j = 0; j < LANES; j += 4) {
            a += lanes[j];
            b += lanes[j + 1];
            c += lanes[j + 2];
            d += lanes[j + 3];
        }
        return (a + b) + (c + d);
    }

    /** Adds the parts of dz^T in the order of the shares, and lays out rows. */
    private float[][] sum(CalibrationBatch batch) {
        float[][] sums = new float[right.bases()][];
        for (int b = 0; b < sums.length; b++) {
            sums[b] = new float[Lanes.padRows(right.rank(b)) * padded];
        }
        int panels = batch.panels();
        workers.run(sums.length * panels, (task, worker) -> {
            int b = task / panels;
            int panel = task % panels;
            int size = Lanes.padRows(right.rank(b)) * NR;
            float[] total = new float[size];
            for (float[][] part : parts) {
                for (int at = 0; at < size; at += LANES) {
                    FloatVector.fromArray(FLOATS, total, at)
                            .add(FloatVector.fromArray(FLOATS, part[b], panel * size + at))
                            .intoArray(total, at);
                }
            }
            for (int r = 0; r < right.rank(b); r++) {
                System.arraycopy(total, r * NR, sums[b], r * padded + panel * NR, NR);
            }
        });
        return sums;
    }

    /** Memory of one worker. */
    private final class Scratch {
        private final LogitTiles.Rows rows = logits.new Rows();
        private final float[] dense = new float[LogitTiles.ROWS * NR];
        private final float[][] gradient = new float[padded / NR][LogitTiles.ROWS * NR];
        private final float[][] packed = new float[Math.ceilDiv(longest, PANEL)][LogitTiles.ROWS * NR + MR];
        private final float[] leftGradient = new float[LogitTiles.ROWS * Lanes.padColumns(longest)];
        private final float[] lanes = new float[LANES];
        private final float[] rowSum = new float[1];
    }
}
