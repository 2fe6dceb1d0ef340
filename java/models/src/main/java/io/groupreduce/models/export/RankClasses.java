package io.groupreduce.models.export;

import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.models.rounding.BlockFormat;
import io.groupreduce.models.rounding.EvenBlocks;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How the rows of one basis are stored in two widths: a row's first coordinates have 8 bits, more have 4, the rest none; rows of the same numbers are a
 * class. A row takes the class where loss + {@link #PRICE} x bytes is least.
 *
 * <p>What an error costs is what the compressed file says: it gave a coordinate the bits at which the steps of its codes cost as much as those of any
 * other, in any row. So the loss of an error e is {@code (e / (scale half(bits)))^2}, in which the file's own rounding loses a third a coordinate, and
 * neither the metric nor the weights of rows are needed again.
 */
final class RankClasses {
    /** Numbers that share a scale. */
    static final int BLOCK = 32;

    /**
     * Loss that a byte must save, twice what the last byte of the compressed file saved: it was measured to give about 1.4 times the file's bytes and
     * twice its divergence. A larger file at this price is better than a smaller one at a lower price.
     */
    private static final double PRICE = 4;

    /** Classes of a basis: each takes the time of a product or two, and more than four hardly lower the loss. */
    private static final int MOST = 4;

    /** Between how many numbers of coordinates rows may choose. */
    private static final int CUTS = 8;

    /** Rows that one task looks at. */
    private static final int TILE = 256;

    /**
     * Rows that are stored alike.
     *
     * @param wide coordinates of 8 bits, a multiple of {@link #BLOCK} or all
     * @param rank coordinates of 8 and of 4 bits
     * @param rows rising
     */
    record RankClass(int wide, int rank, int[] rows) {}

    private record Kind(int wide, int rank) {}

    private final CompressedMatrix matrix;
    private final int basis;
    private final int rank;
    private final Parallel threads;
    private final int[] cuts;

    RankClasses(CompressedMatrix matrix, int basis, Parallel threads) {
        this.matrix = matrix;
        this.basis = basis;
        this.threads = threads;
        rank = (int) matrix.right(basis).rows();
        int blocks = Math.ceilDiv(rank, BLOCK);
        int step = Math.ceilDiv(blocks, CUTS);
        cuts = IntStream.rangeClosed(0, Math.ceilDiv(blocks, step))
                .map(c -> Math.min(rank, c * step * BLOCK))
                .toArray();
    }

    /** Half the distance of a group's values in each direction; in one that it lacks, twice that of the fewest bits. */
    static float[] halves(GroupPlan plan, int rank) {
        float[] halves = new float[rank];
        Arrays.fill(halves, 2 * CodeValues.half(1));
        for (int j = 0; j < plan.rank(); j++) {
            halves[j] = CodeValues.step(Math.min(plan.profile().bits(j), CodeValues.MOST_BITS)) / 2f;
        }
        return halves;
    }

    /** Reads coordinates of rows; one thread's. */
    final class Rows {
        /** The row's coordinates, 0 where it has none. */
        final float[] coordinates = new float[rank];

        /** What the square of an error costs. */
        final float[] importance = new float[rank];

        private final float[][] halves = new float[matrix.groups().size()][];

        void read(int row) {
            int g = matrix.group(row);
            EncodedMatrix left = matrix.left(g);
            Arrays.fill(coordinates, 0);
            Arrays.fill(importance, 0);
            if (left == null) {
                return;
            }
            left.decodeRow(matrix.slot(row), coordinates, 0);
            float scale = left.profile().scaled() ? left.scale(matrix.slot(row), 0) : largest() / CodeValues.largest(8);
            float[] half =
                    halves[g] == null ? halves[g] = halves(matrix.groups().get(g), rank) : halves[g];
            for (int j = 0; j < rank && scale != 0; j++) {
                importance[j] = 1 / (scale * half[j] * scale * half[j]);
            }
        }

        /** Coordinates without codes are as good as those of 8 bits should be. */
        private float largest() {
            float largest = 0;
            for (float coordinate : coordinates) {
                largest = Math.max(largest, Math.abs(coordinate));
            }
            return largest;
        }
    }

    /** Rows of zeros go with those of the first basis: as few coordinates as any class has. */
    private boolean has(GroupPlan plan) {
        return plan.basis() == basis || plan.isZero() && basis == 0;
    }

    /** The classes, none empty, with all rows of the basis among them. */
    List<RankClass> choose() {
        int[] rows = IntStream.range(0, matrix.rows())
                .filter(i -> has(matrix.groups().get(matrix.group(i))))
                .toArray();
        List<Kind> kinds = new ArrayList<>();
        for (int wide : cuts) {
            Arrays.stream(cuts).filter(all -> all >= wide && all > 0).forEach(all -> kinds.add(new Kind(wide, all)));
        }
        float[][] costs = new float[rows.length][];
        threads.forEach(Math.ceilDiv(rows.length, TILE), tile -> {
            Costs cost = new Costs(kinds);
            for (int i = tile * TILE; i < Math.min(rows.length, (tile + 1) * TILE); i++) {
                costs[i] = cost.of(rows[i]);
            }
        });
        List<Integer> open = fewest(costs, kinds.size());
        int[] chosen = cheapest(costs, open);
        return open.stream()
                .map(k -> new RankClass(
                        kinds.get(k).wide(),
                        kinds.get(k).rank(),
                        IntStream.range(0, rows.length)
                                .filter(i -> chosen[i] == k)
                                .map(i -> rows[i])
                                .toArray()))
                .filter(c -> c.rows().length > 0)
                .toList();
    }

    /** Closes one kind after the other, each time the one whose rows lose least by going elsewhere. */
    private static List<Integer> fewest(float[][] costs, int kinds) {
        List<Integer> open = new ArrayList<>(IntStream.range(0, kinds).boxed().toList());
        while (open.size() > MOST) {
            double[] more = new double[kinds];
            for (float[] cost : costs) {
                int own = cheapest(cost, open, -1);
                more[own] += cost[cheapest(cost, open, own)] - cost[own];
            }
            open.remove(open.stream()
                    .min((a, b) -> Double.compare(more[a], more[b]))
                    .orElseThrow());
        }
        return open;
    }

    private static int[] cheapest(float[][] costs, List<Integer> open) {
        return Arrays.stream(costs).mapToInt(cost -> cheapest(cost, open, -1)).toArray();
    }

    private static int cheapest(float[] cost, List<Integer> open, int without) {
        int best = -1;
        for (int k : open) {
            if (k != without && (best < 0 || cost[k] < cost[best])) {
                best = k;
            }
        }
        return best;
    }

    /** What rows would cost in each class; one thread's. */
    private final class Costs {
        private final List<Kind> kinds;
        private final Rows rows = new Rows();
        private final BlockFormat.RowCode narrowCode = code(4);
        private final BlockFormat.RowCode wideCode = code(8);

        Costs(List<Kind> kinds) {
            this.kinds = kinds;
        }

        private BlockFormat.RowCode code(int bits) {
            return new EvenBlocks(bits, BLOCK, rank, scale -> scale, (row, b, scale, codes, from) -> {}).row();
        }

        float[] of(int row) {
            rows.read(row);
            // The loss of all before a cut with 4 bits, with 8, and without any.
            double[] narrow = new double[cuts.length];
            double[] wide = new double[cuts.length];
            double[] none = new double[cuts.length];
            for (int c = 1; c < cuts.length; c++) {
                narrow[c] = narrow[c - 1];
                wide[c] = wide[c - 1];
                none[c] = none[c - 1];
                for (int at = cuts[c - 1]; at < cuts[c]; at += BLOCK) {
                    int count = Math.min(BLOCK, cuts[c] - at);
                    narrow[c] += loss(narrowCode, at, count);
                    wide[c] += loss(wideCode, at, count);
                    for (int j = at; j < at + count; j++) {
                        none[c] += rows.importance[j] * rows.coordinates[j] * rows.coordinates[j];
                    }
                }
            }
            float[] costs = new float[kinds.size()];
            for (int k = 0; k < costs.length; k++) {
                Kind kind = kinds.get(k);
                int w = Arrays.binarySearch(cuts, kind.wide());
                int r = Arrays.binarySearch(cuts, kind.rank());
                int bytes = BlockMatrix.rowBytes(kind.wide(), 8, BLOCK)
                        + BlockMatrix.rowBytes(kind.rank() - kind.wide(), 4, BLOCK);
                double loss = wide[w] + narrow[r] - narrow[w] + none[cuts.length - 1] - none[r];
                costs[k] = (float) (loss + PRICE * bytes);
            }
            return costs;
        }

        private double loss(BlockFormat.RowCode code, int at, int count) {
            code.fit(at / BLOCK, rows.coordinates, at, count, rows.importance);
            double loss = 0;
            for (int j = at; j < at + count; j++) {
                float error = rows.coordinates[j] - code.round(j, rows.coordinates[j]);
                loss += rows.importance[j] * error * error;
            }
            return loss;
        }
    }
}
