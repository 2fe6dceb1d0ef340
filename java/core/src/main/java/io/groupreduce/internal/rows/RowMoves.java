package io.groupreduce.internal.rows;

import io.groupreduce.matrix.GroupPlan;
import java.util.Arrays;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;

/**
 * Which rows to add to and subtract from Gram matrices when rows move from one basis to another: what every backend that
 * keeps them up to date has to decide.
 *
 * <p>A basis that few rows join or leave is corrected by their contributions; one that many do is computed afresh, and so
 * is one whose rounding errors could show: what is left of it is small against what has passed through it. Rows of weight
 * 0 change nothing. A basis of few rows, which may be solved without its Gram matrix, has none: nothing is added to it.
 */
public final class RowMoves {
    /** The number of a row that is in no basis. */
    private static final int NONE = GroupPlan.DENSE;

    /** Energy that may pass through a basis, relative to what it holds, before it is computed again. */
    private static final double MAX_CHURN = 16;

    private final float[] weights;
    private final int fewest;
    private final boolean[] few = new boolean[NONE];
    private final double[] energy = new double[NONE];
    private final double[] passed = new double[NONE];
    private final boolean[] afresh = new boolean[NONE];
    private final byte[] previous;
    private byte[] present;
    private int bases;

    /**
     * Starts with no row in any basis.
     *
     * @param weights w [N]
     * @param fewest how many rows a basis must have for a Gram matrix
     */
    public RowMoves(float[] weights, int fewest) {
        this.weights = weights;
        this.fewest = fewest;
        previous = new byte[weights.length];
        forget();
    }

    /**
     * Compares an assignment with the one that was last {@link #accept accepted}.
     *
     * @param basisOf the basis of each row [N], {@link GroupPlan#DENSE} for none
     * @param count how many bases there are
     * @param energies the energy of each row [N] under the metric
     */
    public void compare(byte[] basisOf, int count, float[] energies) {
        present = basisOf;
        if (count < bases) {
            Arrays.fill(passed, count, bases, 0);
        }
        bases = count;
        int[] rows = new int[NONE + 1];
        int[] moves = new int[NONE + 1];
        double[] moved = new double[NONE + 1];
        Arrays.fill(energy, 0);
        for (int i = 0; i < basisOf.length; i++) {
            int now = basisOf[i] & 0xff;
            int before = previous[i] & 0xff;
            double contribution = (double) weights[i] * energies[i];
            rows[now]++;
            if (now != NONE) {
                energy[now] += contribution;
            }
            if (now != before) {
                moves[now]++;
                moves[before]++;
                moved[now] += contribution;
                moved[before] += contribution;
            }
        }
        for (int b = 0; b < bases; b++) {
            passed[b] += moved[b];
            boolean had = !few[b];
            few[b] = rows[b] < fewest;
            afresh[b] = !few[b] && (!had || moves[b] > 0 && (moves[b] >= rows[b] || passed[b] > MAX_CHURN * energy[b]));
            passed[b] = afresh[b] ? energy[b] : passed[b];
        }
    }

    /** Whether a basis has too few rows for a Gram matrix. */
    public boolean few(int basis) {
        return few[basis];
    }

    /** The rows of a basis when it was last {@link #accept accepted}, in order. */
    public int[] rows(int basis) {
        return IntStream.range(0, previous.length)
                .filter(i -> (previous[i] & 0xff) == basis)
                .toArray();
    }

    /** Whether the Gram matrix of a basis is to be computed from nothing. */
    public boolean afresh(int basis) {
        return afresh[basis];
    }

    /** The weighted energy of a basis's rows: the trace of its Gram matrix under the metric. */
    public double energy(int basis) {
        return energy[basis];
    }

    /** The rows that must be added to each basis. */
    public RowLists joining() {
        return lists(this::joins);
    }

    /** The rows that must be subtracted from each basis. */
    public RowLists leaving() {
        return lists(this::leaves);
    }

    private RowLists lists(IntUnaryOperator basis) {
        byte[] basisOf = new byte[previous.length];
        for (int i = 0; i < basisOf.length; i++) {
            // -1 is NONE as a byte, and left out.
            basisOf[i] = (byte) basis.applyAsInt(i);
        }
        return RowLists.of(basisOf, bases);
    }

    /** The basis that a row must be added to, or -1. */
    int joins(int row) {
        int now = present[row] & 0xff;
        return now < bases && !few[now] && weights[row] != 0 && (afresh[now] || present[row] != previous[row])
                ? now
                : -1;
    }

    /** The basis that a row must be subtracted from, or -1. */
    int leaves(int row) {
        int before = previous[row] & 0xff;
        boolean corrected = before < bases && !few[before] && !afresh[before];
        return corrected && weights[row] != 0 && present[row] != previous[row] ? before : -1;
    }

    /** The Gram matrices are those of the assignment that was compared last. */
    public void accept() {
        System.arraycopy(present, 0, previous, 0, previous.length);
    }

    /** The Gram matrices are lost: no row is in any basis. */
    public void forget() {
        bases = 0;
        Arrays.fill(previous, (byte) NONE);
        Arrays.fill(passed, 0);
    }
}
