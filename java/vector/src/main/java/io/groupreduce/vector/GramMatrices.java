package io.groupreduce.vector;

import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.backend.RowMoves;

/** The Gram matrices of all bases, kept up to date as rows move: see {@link RowMoves}. */
final class GramMatrices {
    private final GramAccumulator accumulator;
    private final float[] energies;
    private final RowMoves moves;
    private final TriangularGram[] grams = new TriangularGram[CompressionWorkspace.NO_BASIS];
    private int bases;

    /** Starts with no row in any basis. */
    GramMatrices(GramAccumulator accumulator, float[] weights, float[] energies) {
        this.accumulator = accumulator;
        this.energies = energies;
        moves = new RowMoves(weights);
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
        return moves.energy(basis);
    }

    /** Takes up a new assignment. */
    void update(byte[] basisOf, int newBases) {
        for (int b = 0; b < newBases; b++) {
            grams[b] = grams[b] == null ? new TriangularGram(accumulator.columns()) : grams[b];
        }
        for (int b = newBases; b < bases; b++) {
            grams[b] = null;
        }
        bases = newBases;
        moves.compare(basisOf, bases, energies);
        int[] starts = new int[2 * bases + 1];
        int[] order = sort(basisOf.length, starts);
        for (int b = 0; b < bases; b++) {
            if (moves.afresh(b)) {
                grams[b].clear();
            }
            accumulator.add(grams[b], order, starts[b], starts[b + 1], 1);
            accumulator.add(grams[b], order, starts[bases + b], starts[bases + b + 1], -1);
        }
        moves.accept();
    }

    /**
     * The rows to read: for each basis those to add, then for each basis those to subtract.
     *
     * @param starts receives where each list begins
     */
    private int[] sort(int rows, int[] starts) {
        for (int i = 0; i < rows; i++) {
            int to = moves.joins(i);
            int from = moves.leaves(i);
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
        for (int i = 0; i < rows; i++) {
            int to = moves.joins(i);
            int from = moves.leaves(i);
            if (to >= 0) {
                order[next[to]++] = i;
            }
            if (from >= 0) {
                order[next[bases + from]++] = i;
            }
        }
        return order;
    }
}
