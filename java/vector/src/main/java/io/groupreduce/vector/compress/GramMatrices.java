package io.groupreduce.vector.compress;

import io.groupreduce.internal.rows.RowLists;
import io.groupreduce.internal.rows.RowMoves;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.vector.kernel.TriangularGram;

/**
 * The Gram matrices of all bases with at least as many rows as columns, kept up to date as rows move: see {@link RowMoves}. The
 * others are solved by {@link FewRows}.
 */
final class GramMatrices {
    private final GramAccumulator accumulator;
    private final float[] energies;
    private final RowMoves moves;
    private final TriangularGram[] grams = new TriangularGram[GroupPlan.DENSE];
    private int bases;

    /** Starts with no row in any basis. */
    GramMatrices(GramAccumulator accumulator, float[] weights, float[] energies) {
        this.accumulator = accumulator;
        this.energies = energies;
        moves = new RowMoves(weights, accumulator.columns());
    }

    int bases() {
        return bases;
    }

    /** Whether a basis has fewer rows than columns, and so no Gram matrix. */
    boolean few(int basis) {
        return moves.few(basis);
    }

    /** The rows of a basis, in order. */
    int[] rows(int basis) {
        return moves.rows(basis);
    }

    /** The Gram matrix of a basis, without the metric; {@code null} where rows are {@link #few}. */
    TriangularGram gram(int basis) {
        return grams[basis];
    }

    /** The weighted energy of a basis's rows, with the metric: the trace of its Gram matrix. */
    double energy(int basis) {
        return moves.energy(basis);
    }

    /** Takes up a new assignment. */
    void update(byte[] basisOf, int newBases) {
        for (int b = newBases; b < bases; b++) {
            grams[b] = null;
        }
        bases = newBases;
        moves.compare(basisOf, bases, energies);
        RowLists joining = moves.joining();
        RowLists leaving = moves.leaving();
        for (int b = 0; b < bases; b++) {
            if (moves.few(b)) {
                grams[b] = null;
                continue;
            }
            if (grams[b] == null) {
                grams[b] = new TriangularGram(accumulator.columns());
            } else if (moves.afresh(b)) {
                grams[b].clear();
            }
            accumulator.add(grams[b], joining.order(), joining.start(b), joining.start(b + 1), 1);
            accumulator.add(grams[b], leaving.order(), leaving.start(b), leaving.start(b + 1), -1);
        }
        moves.accept();
    }
}
