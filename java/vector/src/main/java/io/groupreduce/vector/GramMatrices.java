package io.groupreduce.vector;

import io.groupreduce.backend.CompressionWorkspace;
import java.util.Arrays;

/**
 * The Gram matrices of all bases, kept up to date as rows move. A basis that few rows join or leave is corrected by their
 * contributions; one that many do is computed again, and so is one whose rounding errors could show: what is left of it is
 * small against what has passed through it.
 */
final class GramMatrices {
    private static final int NO_BASIS = CompressionWorkspace.NO_BASIS;

    /** Energy that may pass through a basis, relative to what it holds, before it is computed again. */
    private static final double MAX_CHURN = 16;

    private final GramAccumulator accumulator;
    private final float[] weights;
    private final float[] energies;
    private final TriangularGram[] grams = new TriangularGram[NO_BASIS];
    private final double[] energy = new double[NO_BASIS];
    private final double[] passed = new double[NO_BASIS];
    private final byte[] previous;
    private int bases;

    /** Starts with no row in any basis. */
    GramMatrices(GramAccumulator accumulator, float[] weights, float[] energies) {
        this.accumulator = accumulator;
        this.weights = weights;
        this.energies = energies;
        previous = new byte[weights.length];
        Arrays.fill(previous, (byte) NO_BASIS);
    }

    int bases() {
        return bases;
    }

    /** The Gram matrix of a basis, without the metric. */
    TriangularGram gram(int basis) {
        return grams[basis];
    }

    /** The weighted energy of a basis's rows, with the metric: the trace of its Gram matrix. */
    double energy(int basis) {
        return energy[basis];
    }

    /** Takes up a new assignment. */
    void update(byte[] basisOf, int newBases) {
        for (int b = 0; b < newBases; b++) {
            grams[b] = grams[b] == null ? new TriangularGram(accumulator.columns()) : grams[b];
        }
        for (int b = newBases; b < bases; b++) {
            grams[b] = null;
            passed[b] = 0;
        }
        bases = newBases;
        boolean[] afresh = census(basisOf);
        int[] starts = new int[2 * bases + 1];
        int[] order = sort(basisOf, afresh, starts);
        for (int b = 0; b < bases; b++) {
            if (afresh[b]) {
                grams[b].clear();
                passed[b] = energy[b];
            }
            accumulator.add(grams[b], order, starts[b], starts[b + 1], 1);
            accumulator.add(grams[b], order, starts[bases + b], starts[bases + b + 1], -1);
        }
        System.arraycopy(basisOf, 0, previous, 0, previous.length);
    }

    /** Sums the energies and tells which bases to compute afresh. */
    private boolean[] census(byte[] basisOf) {
        int[] rows = new int[NO_BASIS + 1];
        int[] moves = new int[NO_BASIS + 1];
        double[] moved = new double[NO_BASIS + 1];
        Arrays.fill(energy, 0);
        for (int i = 0; i < basisOf.length; i++) {
            int now = basisOf[i] & 0xff;
            int before = previous[i] & 0xff;
            double contribution = (double) weights[i] * energies[i];
            rows[now]++;
            if (now != NO_BASIS) {
                energy[now] += contribution;
            }
            if (now != before) {
                moves[now]++;
                moves[before]++;
                moved[now] += contribution;
                moved[before] += contribution;
            }
        }
        boolean[] afresh = new boolean[bases];
        for (int b = 0; b < bases; b++) {
            passed[b] += moved[b];
            afresh[b] = moves[b] > 0 && (moves[b] >= rows[b] || passed[b] > MAX_CHURN * energy[b]);
        }
        return afresh;
    }

    /**
     * The rows to read: for each basis those to add, then for each basis those to subtract. Rows of weight 0 change nothing.
     *
     * @param starts receives where each list begins
     */
    private int[] sort(byte[] basisOf, boolean[] afresh, int[] starts) {
        for (int i = 0; i < basisOf.length; i++) {
            int to = joins(i, basisOf, afresh);
            int from = leaves(i, basisOf, afresh);
            if (to >= 0) {
                starts[to + 1]++;
            }
            if (from >= 0) {
                starts[bases + from + 1]++;
            }
        }
        for (int s = 0; s < 2 * bases; s++) {
            starts[s + 1] += starts[s];
        }
        int[] order = new int[starts[2 * bases]];
        int[] next = starts.clone();
        for (int i = 0; i < basisOf.length; i++) {
            int to = joins(i, basisOf, afresh);
            int from = leaves(i, basisOf, afresh);
            if (to >= 0) {
                order[next[to]++] = i;
            }
            if (from >= 0) {
                order[next[bases + from]++] = i;
            }
        }
        return order;
    }

    /** The basis that row i must be added to, or -1. */
    private int joins(int i, byte[] basisOf, boolean[] afresh) {
        int now = basisOf[i] & 0xff;
        return now != NO_BASIS && weights[i] != 0 && (afresh[now] || basisOf[i] != previous[i]) ? now : -1;
    }

    /** The basis that row i must be subtracted from, or -1. */
    private int leaves(int i, byte[] basisOf, boolean[] afresh) {
        int before = previous[i] & 0xff;
        return before < bases && weights[i] != 0 && !afresh[before] && basisOf[i] != previous[i] ? before : -1;
    }
}
