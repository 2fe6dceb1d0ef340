package io.groupreduce.vector.compress;

import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The best candidate of every row.
 *
 * <pre>objective(i, c) = w_i max(0, e_i - ||(A_i P_b)[0 : k_c]||^2) + price_c,   A_i: D numbers, P_b: D x k_b</pre>
 *
 * <p>Projections of all bases in use lie side by side, packed once for the pass. A task multiplies a tile of rows with all of
 * them, sums squared coordinates up to every rank that a candidate asks for, and takes the least objective. Bytes: 4 N D
 * read, the projections (4 K D, K the sum of ranks) from the caches once a tile, 9 N of small results. Never materialised: the
 * N x K coordinates, the N x C objectives.
 */
final class Assignment {
    /** Floats of a tile's rows or coordinates, whichever are more. */
    private static final int TILE_FLOATS = 1 << 18;

    private final Matrix matrix;
    private final float[] weights;
    private final float[] energies;
    private final PackedMatrix projections;
    private final int tileRows;
    private final int width;
    /** Segment s holds columns segmentStart[s] .. segmentStart[s] + segmentLength[s] - 1, and continues segmentBefore[s]. */
    private final int[] segmentStart;

    private final int[] segmentLength;
    private final int[] segmentBefore;
    /** Per candidate: the segment at whose end its rank lies, 0 for rank 0, {@link #DENSE}. */
    private final int[] segmentOf;

    private final double[] prices;
    private static final int DENSE = -1;

    /** Packs what the candidates need. */
    Assignment(CompressionProblem problem, float[] energies, Basis[] bases, List<Candidate> candidates) {
        matrix = problem.matrix();
        weights = problem.weights();
        this.energies = energies;
        TreeMap<Integer, TreeSet<Integer>> ranks = new TreeMap<>();
        for (Candidate c : candidates) {
            if (!c.isDense() && c.rank() > 0) {
                ranks.computeIfAbsent(c.basis(), b -> new TreeSet<>()).add(c.rank());
            }
        }
        int columns = ranks.values().stream().mapToInt(TreeSet::last).sum();
        int segments = 1 + ranks.values().stream().mapToInt(TreeSet::size).sum();
        projections = new PackedMatrix(matrix.columns(), columns);
        segmentStart = new int[segments];
        segmentLength = new int[segments];
        segmentBefore = new int[segments];
        segmentOf = new int[candidates.size()];
        prices = candidates.stream().mapToDouble(Candidate::price).toArray();
        for (int c = 0; c < segmentOf.length; c++) {
            segmentOf[c] = candidates.get(c).isDense() ? DENSE : 0;
        }
        int column = 0;
        int segment = 1;
        for (int b : ranks.keySet()) {
            projections.setColumns(
                    column,
                    bases[b].projection().rows(),
                    bases[b].projection().stride(),
                    ranks.get(b).last());
            int before = 0;
            int done = 0;
            for (int rank : ranks.get(b)) {
                segmentStart[segment] = column + done;
                segmentLength[segment] = rank - done;
                segmentBefore[segment] = before;
                for (int c = 0; c < segmentOf.length; c++) {
                    if (candidates.get(c).basis() == b && candidates.get(c).rank() == rank) {
                        segmentOf[c] = segment;
                    }
                }
                before = segment++;
                done = rank;
            }
            column += done;
        }
        width = Lanes.padColumns(columns);
        tileRows = Lanes.tileRows(TILE_FLOATS, Math.max(matrix.columns(), width));
    }

    /** Fills {@code best} and {@code gain}. */
    void run(Workers workers, byte[] current, byte[] best, float[] gain) {
        Scratch[] scratch = new Scratch[workers.count()];
        workers.run(Math.ceilDiv(matrix.rows(), tileRows), (task, worker) -> {
            if (scratch[worker] == null) {
                scratch[worker] = new Scratch(this);
            }
            tile(task * tileRows, scratch[worker], current, best, gain);
        });
    }

    private void tile(int first, Scratch scratch, byte[] current, byte[] best, float[] gain) {
        int rows = Math.min(tileRows, matrix.rows() - first);
        if (width > 0) {
            int columns = matrix.columns();
            matrix.readRows(first, rows, scratch.rows, 0);
            Gemm.multiply(
                    scratch.rows, columns, rows, columns, projections, projections.panels(), scratch.products, width);
        }
        float[] kept = scratch.kept;
        for (int i = 0; i < rows; i++) {
            for (int s = 1; s < kept.length; s++) {
                kept[s] = kept[segmentBefore[s]]
                        + Lanes.squares(scratch.products, i * width + segmentStart[s], segmentLength[s], scratch.lanes);
            }
            choose(first + i, kept, current, best, gain);
        }
    }

    private void choose(int row, float[] kept, byte[] current, byte[] best, float[] gain) {
        double weight = weights[row];
        int stays = current[row] & 0xff;
        int least = 0;
        double leastObjective = objective(0, energies[row], kept, weight);
        double stayObjective = leastObjective;
        for (int c = 1; c < prices.length; c++) {
            double objective = objective(c, energies[row], kept, weight);
            if (objective < leastObjective) {
                least = c;
                leastObjective = objective;
            }
            if (c == stays) {
                stayObjective = objective;
            }
        }
        best[row] = (byte) least;
        gain[row] = (float) (stayObjective - leastObjective);
    }

    private double objective(int candidate, float energy, float[] kept, double weight) {
        int segment = segmentOf[candidate];
        return segment == DENSE ? prices[candidate] : weight * Math.max(0f, energy - kept[segment]) + prices[candidate];
    }

    /** Memory of one worker. */
    private static final class Scratch {
        private final float[] rows;
        private final float[] products;
        private final float[] kept;
        private final float[] lanes = new float[Lanes.LANES];

        Scratch(Assignment assignment) {
            rows = new float[assignment.width == 0 ? 0 : assignment.tileRows * assignment.matrix.columns()];
            products = new float[assignment.tileRows * assignment.width];
            kept = new float[assignment.segmentStart.length];
        }
    }
}
