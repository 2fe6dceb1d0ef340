package io.groupreduce.vector.training;

import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.vector.compress.GroupTiles;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * Training of a compressed softmax, fused over tiles of the vocabulary.
 *
 * <pre>1  z = R H                                          (GEMM)
 * 2  log sum exp of both heads and KL, tile by tile   (first pass)
 * 3  logits again, g, step of left rows and bias, dz  (second pass)
 * 4  dR = dz H^T, step of R                           (GEMM)</pre>
 *
 * <p>Operations a row and state: 4 D + 8 k_p and 4 exponentials. Bytes a step: A twice, the left numbers with what Adam
 * remembers of them. Never materialised: anything N x B.
 */
public final class VectorCalibration implements CalibrationSession {
    private static final int MOST_SHARES = 64;
    private static final int TILES_PER_SHARE = 6;

    /** Hidden states that a measurement takes together. */
    private static final int LOSS_STATES = 1024;

    private final Workers workers;
    private final CalibrationProblem problem;
    private final int columns;
    private final Arena arena = Arena.ofShared();
    private final GroupTiles tiles;
    private final TrainedLeft left;
    private final TrainedRight right;
    private final TrainedBias bias;
    private final LogitTiles logits;
    private final CalibrationGradient gradient;
    private final Scratch[] scratch;
    private int steps;

    public VectorCalibration(Workers workers, CalibrationProblem problem) {
        this.workers = workers;
        this.problem = problem;
        CompressedMatrix start = problem.start();
        columns = start.columns();
        tiles = new GroupTiles(start.groupOf(), start.groups().size(), LogitTiles.ROWS);
        left = new TrainedLeft(workers, start, tiles);
        right = new TrainedRight(start, arena);
        bias = problem.trainBias() ? new TrainedBias(problem.bias(), start.rows()) : null;
        logits = new LogitTiles(problem, bias == null ? problem.bias() : bias.rounded(), left, tiles);
        gradient = new CalibrationGradient(workers, tiles, start.groups(), logits, left, right, bias);
        scratch = new Scratch[workers.count()];
    }

    @Override
    public double loss(float[] hidden, int count) {
        double total = 0;
        for (int first = 0; first < count; first += LOSS_STATES) {
            int states = Math.min(LOSS_STATES, count - first);
            CalibrationBatch batch = new CalibrationBatch(workers, hidden, first, states, columns, right);
            total += forward(batch).totalKl();
        }
        return total / count;
    }

    @Override
    public double step(float[] hidden, int count, double rate) {
        AdamStep step = new AdamStep(rate, ++steps);
        CalibrationBatch batch = new CalibrationBatch(workers, hidden, 0, count, columns, right);
        Heads heads = forward(batch);
        float[][] coordinates = gradient.run(
                batch, heads.logSumExp(heads.dense, batch), heads.logSumExp(heads.compressed, batch), step);
        updateRight(batch, coordinates, step);
        return heads.totalKl() / count;
    }

    /** What the first pass found. */
    private record Heads(SoftmaxHeadState dense, SoftmaxHeadState compressed, int states) {
        /** The sum of KL over the states; KL is never negative, so what is below 0 is rounding. */
        double totalKl() {
            double total = 0;
            for (int t = 0; t < states; t++) {
                total += Math.max(0, dense.expectedGap(t) - dense.logSumExp(t) + compressed.logSumExp(t));
            }
            return total;
        }

        float[] logSumExp(SoftmaxHeadState head, CalibrationBatch batch) {
            float[] values = new float[batch.padded()];
            for (int t = 0; t < values.length; t++) {
                values[t] = (float) head.logSumExp(t);
            }
            return values;
        }
    }

    private Heads forward(CalibrationBatch batch) {
        int shares = Math.min(MOST_SHARES, Math.ceilDiv(tiles.count(), TILES_PER_SHARE));
        SoftmaxHeadState[] dense = new SoftmaxHeadState[shares];
        SoftmaxHeadState[] compressed = new SoftmaxHeadState[shares];
        workers.run(shares, (share, worker) -> {
            dense[share] = new SoftmaxHeadState(batch.padded());
            compressed[share] = new SoftmaxHeadState(batch.padded());
            if (scratch[worker] == null) {
                scratch[worker] = new Scratch();
            }
            Scratch s = scratch[worker];
            int end = (int) ((share + 1L) * tiles.count() / shares);
            for (int tile = (int) ((long) share * tiles.count() / shares); tile < end; tile++) {
                s.rows.load(tile);
                for (int panel = 0; panel < batch.panels(); panel++) {
                    s.rows.teacher(batch, panel, s.dense);
                    s.rows.student(batch, panel, s.compressed);
                    dense[share].add(panel * NR, s.dense, s.compressed, tiles.rows(tile), s.maxima, s.lanes);
                    compressed[share].add(panel * NR, s.compressed, null, tiles.rows(tile), s.maxima, s.lanes);
                }
            }
        });
        for (int share = 1; share < shares; share++) {
            dense[0].merge(dense[share]);
            compressed[0].merge(compressed[share]);
        }
        return new Heads(dense[0], compressed[0], batch.states());
    }

    /** {@code dR = dz H^T}, and the step of R. */
    private void updateRight(CalibrationBatch batch, float[][] coordinates, AdamStep step) {
        PackedMatrix states = batch.stateRows();
        int stride = Lanes.padColumns(columns);
        float[][] gradients = new float[right.bases()][];
        for (int b = 0; b < gradients.length; b++) {
            gradients[b] = new float[Lanes.padRows(right.rank(b)) * stride];
            Gemm.multiply(workers, coordinates[b], batch.padded(), right.rank(b), states, gradients[b], stride);
        }
        workers.run(right.rows(), (row, worker) -> {
            int b = right.basisOf(row);
            int r = right.rowInBasis(row);
            right.update(b, r, gradients[b], r * stride, step);
        });
    }

    @Override
    public CompressedMatrix snapshot(Arena target) {
        CompressedMatrix start = problem.start();
        List<EncodedMatrix> storedLeft = new ArrayList<>();
        for (int g = 0; g < start.groups().size(); g++) {
            storedLeft.add(start.left(g) == null ? null : start.left(g).copyTo(target));
        }
        workers.run(tiles.count(), (tile, worker) -> {
            GroupPlan plan = start.groups().get(tiles.group(tile));
            if (TrainedLeft.trained(plan)) {
                left.store(tile, storedLeft.get(tiles.group(tile)));
            }
        });
        List<EncodedMatrix> storedRight = new ArrayList<>();
        for (int b = 0; b < right.bases(); b++) {
            storedRight.add(right.stored(b).copyTo(target));
        }
        CompressedMatrix now =
                new CompressedMatrix(start.name(), columns, start.groupOf(), start.groups(), storedLeft, storedRight);
        return bias == null ? now : now.withBias(bias.rounded());
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    /** Memory of one worker. */
    private final class Scratch {
        private final LogitTiles.Rows rows = logits.new Rows();
        private final float[] dense = new float[LogitTiles.ROWS * NR];
        private final float[] compressed = new float[LogitTiles.ROWS * NR];
        private final float[] maxima = new float[NR];
        private final float[] lanes = new float[3 * Lanes.LANES];
    }
}
