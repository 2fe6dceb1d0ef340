package io.groupreduce.vector.compress;

import static io.groupreduce.vector.kernel.Lanes.KC;
import static io.groupreduce.vector.kernel.Lanes.MR;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.NormalEquations;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.MicroKernel;
import io.groupreduce.vector.kernel.RowGather;
import io.groupreduce.vector.kernel.Workers;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The normal equations of right factors, given the stored left ones.
 *
 * <pre>
 * gram  = sum over rows i of the basis of w_i L_i^T L_i,   L_i: k_b numbers, those beyond its group's rank 0
 * cross = sum over rows i of the basis of w_i L_i^T A_i,   A_i: D numbers
 * </pre>
 *
 * <p>The rows of a basis come in order of falling rank, {@value #MAX_ROWS} at a time at most; decoded left rows and rows of A
 * are scaled by sqrt(w_i) and packed into panels of NR columns. A pair of panels gives one NR x NR block, and the rows that
 * reach a panel of the left factor are the first ones: no zeros are multiplied but those inside a panel. Products are summed
 * in single precision inside one packing, and the packings in double.
 *
 * <p>Bytes of one packing of H rows: 4 H D and the stored left rows read, 4 H (k_b + D) written packed; each block reads two
 * panels (8 H NR, from the caches) for 2 H NR^2 operations and touches 8 NR^2 of the result. Never materialised: a decoded
 * left factor beyond the packing, a result per thread.
 */
final class RightEquations {
    private static final int MAX_ROWS = 2048;
    private static final int MAX_FLOATS = 1 << 23;

    /** Rows that one task gathers and packs. */
    private static final int PACK_ROWS = 32;

    private final Workers workers;
    private final Matrix matrix;
    private final float[] weights;
    private final List<EncodedMatrix> left;
    private final List<GroupPlan> groups;
    private final int columns;
    private final int rowEdge;
    private final int height;
    private final float[][] leftPanels;
    private final float[][] rowPanels;
    private final float[][] rowScratch;
    private final float[][] leftScratch;
    private final float[][] tileScratch;
    /** Groups in the order their rows are taken: by basis, then by falling rank; then those that have no left factor. */
    private final List<Integer> sequence;

    private final GroupTiles tiles;

    private RightEquations(
            Workers workers,
            Matrix matrix,
            float[] weights,
            byte[] groupOf,
            List<GroupPlan> groups,
            int longest,
            List<EncodedMatrix> left) {
        this.workers = workers;
        this.matrix = matrix;
        this.weights = weights;
        this.left = left;
        this.groups = groups;
        columns = matrix.columns();
        rowEdge = Math.ceilDiv(columns, NR);
        height = Math.max(
                PACK_ROWS, Math.min(Math.clamp(MAX_FLOATS / (columns + longest), KC, MAX_ROWS), matrix.rows()));
        leftPanels = new float[Math.ceilDiv(longest, NR)][height * NR + MR];
        rowPanels = new float[rowEdge][height * NR];
        rowScratch = new float[workers.count()][PACK_ROWS * columns];
        leftScratch = new float[workers.count()][longest];
        tileScratch = new float[workers.count()][Lanes.padRows(NR) * NR];
        sequence = new ArrayList<>();
        for (int g = 0; g < groups.size(); g++) {
            sequence.add(g);
        }
        sequence.sort(Comparator.comparingInt((Integer g) -> groups.get(g).basis())
                .thenComparingInt(g -> -groups.get(g).rank())
                .thenComparingInt(g -> g));
        byte[] place = new byte[groups.size()];
        for (int s = 0; s < place.length; s++) {
            place[sequence.get(s)] = (byte) s;
        }
        byte[] placeOf = new byte[groupOf.length];
        for (int i = 0; i < placeOf.length; i++) {
            placeOf[i] = place[groupOf[i] & 0xff];
        }
        tiles = new GroupTiles(placeOf, place.length, PACK_ROWS);
    }

    /** One system a basis. */
    static List<NormalEquations> of(
            Workers workers,
            Matrix matrix,
            float[] weights,
            byte[] groupOf,
            List<GroupPlan> groups,
            int[] ranks,
            List<EncodedMatrix> left) {
        int longest = 0;
        for (int rank : ranks) {
            longest = Math.max(longest, rank);
        }
        RightEquations sums = new RightEquations(workers, matrix, weights, groupOf, groups, longest, left);
        List<NormalEquations> equations = new ArrayList<>();
        int tile = 0;
        for (int b = 0; b < ranks.length; b++) {
            int end = tile;
            while (end < sums.tiles.count() && sums.plan(end).basis() == b) {
                end++;
            }
            equations.add(sums.basis(ranks[b], tile, end));
            tile = end;
        }
        return equations;
    }

    private GroupPlan plan(int tile) {
        return groups.get(sequence.get(tiles.group(tile)));
    }

    private NormalEquations basis(int rank, int from, int to) {
        NormalEquations sums = new NormalEquations(rank, new double[rank * rank], new double[rank * columns]);
        int end;
        for (int first = from; first < to && plan(first).rank() > 0; first = end) {
            end = first;
            int rows = 0;
            while (end < to && rows + tiles.rows(end) <= height && plan(end).rank() > 0) {
                rows += tiles.rows(end++);
            }
            add(sums, first, end);
        }
        for (int i = 0; i < rank; i++) {
            for (int j = 0; j < i; j++) {
                sums.gram()[i * rank + j] = sums.gram()[j * rank + i];
            }
        }
        return sums;
    }

    /** Adds the rows of tiles {@code first .. end}, which fit one packing. */
    private void add(NormalEquations sums, int first, int end) {
        workers.run(end - first, (task, worker) -> pack(first + task, tiles.first(first), worker));
        int edge = Math.ceilDiv(sums.rank(), NR);
        int[] reach = new int[edge];
        for (int tile = first; tile < end; tile++) {
            for (int p = 0; p * NR < plan(tile).rank(); p++) {
                reach[p] += tiles.rows(tile);
            }
        }
        int pairs = edge * (edge + 1) / 2;
        workers.run(pairs + edge * rowEdge, (task, worker) -> {
            float[] block = tileScratch[worker];
            if (task < pairs) {
                int across = (int) ((Math.sqrt(8.0 * task + 1) - 1) / 2);
                int above = task - across * (across + 1) / 2;
                multiply(sums.rank(), above, leftPanels[across], reach[across], block);
                accumulate(block, sums.gram(), sums.rank(), sums.rank(), above, across, reach[across]);
            } else {
                int above = (task - pairs) / rowEdge;
                int across = (task - pairs) % rowEdge;
                multiply(sums.rank(), above, rowPanels[across], reach[above], block);
                accumulate(block, sums.cross(), sums.rank(), columns, above, across, reach[above]);
            }
        });
    }

    private void pack(int tile, int start, int worker) {
        int first = tiles.first(tile);
        int count = tiles.rows(tile);
        int rank = plan(tile).rank();
        EncodedMatrix stored = left.get(sequence.get(tiles.group(tile)));
        float[] rows = rowScratch[worker];
        float[] coordinates = leftScratch[worker];
        RowGather.read(matrix, tiles.order(), first, count, rows);
        for (int i = 0; i < count; i++) {
            float scale = (float) Math.sqrt(weights[tiles.order()[first + i]]);
            int to = (first - start + i) * NR;
            stored.decodeRow(tiles.slot(tile) + i, coordinates, 0);
            for (int p = 0; p * NR < rank; p++) {
                int width = Math.min(NR, rank - p * NR);
                Lanes.scale(coordinates, p * NR, width, scale, leftPanels[p], to);
                for (int j = width; j < NR; j++) {
                    leftPanels[p][to + j] = 0;
                }
            }
            for (int p = 0; p < rowEdge; p++) {
                int width = Math.min(NR, columns - p * NR);
                Lanes.scale(rows, i * columns + p * NR, width, scale, rowPanels[p], to);
            }
        }
    }

    /** One block: the transpose of panel {@code above} of the left factor times another panel, over the first rows. */
    private void multiply(int rank, int above, float[] across, int rows, float[] block) {
        int blockRows = Math.min(NR, rank - above * NR);
        for (int k = 0; k < rows; k += KC) {
            int steps = Math.min(KC, rows - k);
            for (int i = 0; i < blockRows; i += MR) {
                MicroKernel.columns(steps, leftPanels[above], k * NR + i, across, k * NR, block, i * NR, k > 0);
            }
        }
    }

    /** Adds a block to a matrix of {@code height} rows; without rows there is no block. */
    private static void accumulate(
            float[] block, double[] sums, int height, int width, int above, int across, int rows) {
        if (rows == 0) {
            return;
        }
        int blockRows = Math.min(NR, height - above * NR);
        int blockColumns = Math.min(NR, width - across * NR);
        for (int i = 0; i < blockRows; i++) {
            int to = (above * NR + i) * width + across * NR;
            for (int j = 0; j < blockColumns; j++) {
                sums[to + j] += block[i * NR + j];
            }
        }
    }
}
