package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.compress.RowKernels.Factor;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.internal.rows.RowLists;
import io.groupreduce.internal.rows.RowMoves;
import io.groupreduce.spi.CompressionWorkspace;

/**
 * The Gram matrices of all bases on the card, kept up to date as rows move.
 *
 * <pre>G_b = sum over rows i of basis b of w_i A_i^T A_i,   A_i: D numbers, G_b: D x D in binary64</pre>
 *
 * <p>They are in the space of A; the metric is applied to them, not to rows. {@link RowMoves} says which rows are added
 * and taken away. Bytes: these, gathered and scaled once (12 D a row in binary64) and read by the product. Never
 * materialised: the scaled matrix beyond a block.
 */
final class GramMatrices implements AutoCloseable {
    private static final int NO_BASIS = CompressionWorkspace.NO_BASIS;

    private final Device device;
    private final DeviceMatrix matrix;
    private final RowEnergies energies;
    private final GatheredRows gathered;
    private final ProductSums sums;
    private final DeviceMemory[] grams = new DeviceMemory[NO_BASIS];
    private final RowMoves moves;
    private int bases;

    /** Starts with no row in any basis. */
    GramMatrices(
            Device device,
            DeviceMatrix matrix,
            float[] weights,
            RowEnergies energies,
            GatheredRows gathered,
            ProductSums sums) {
        this.device = device;
        this.matrix = matrix;
        this.energies = energies;
        this.gathered = gathered;
        this.sums = sums;
        moves = new RowMoves(weights);
    }

    int bases() {
        return bases;
    }

    /** The device address of a Gram matrix; of symmetric pairs only the number with column >= row counts. */
    long gram(int basis) {
        return grams[basis].address();
    }

    /** Takes up a new assignment; after an exception, the next call starts from nothing. */
    void update(byte[] basisOf, int newBases) {
        try {
            resize(newBases);
            moves.compare(basisOf, bases, energies.host());
            for (int b = 0; b < bases; b++) {
                if (moves.afresh(b)) {
                    device.stream().clear(gram(b), grams[b].bytes());
                }
            }
            add(moves.joining(), 1);
            add(moves.leaving(), -1);
            moves.accept();
        } catch (RuntimeException e) {
            forget();
            throw e;
        }
    }

    private void resize(int newBases) {
        for (int b = newBases; b < bases; b++) {
            grams[b].close();
            grams[b] = null;
        }
        bases = Math.min(bases, newBases);
        long bytes = 8L * matrix.columns() * matrix.columns();
        for (int b = bases; b < newBases; b++) {
            grams[b] = device.allocate(bytes, "the Gram matrix of basis " + b + " of " + newBases);
            device.stream().clear(gram(b), bytes);
            bases = b + 1;
        }
    }

    private void add(RowLists lists, double sign) {
        if (lists.rows() == 0) {
            return;
        }
        gathered.load(lists, sums.wide());
        for (int b = 0; b < bases; b++) {
            long gram = gram(b);
            gathered.forEach(
                    lists.start(b),
                    lists.count(b),
                    Factor.ROOT_OF_WEIGHT,
                    sums.wide(),
                    (rows, numbers, count) -> sums.addSquares(rows, matrix.columns(), count, sign, gram));
        }
    }

    private void forget() {
        for (int b = 0; b < grams.length; b++) {
            if (grams[b] != null) {
                grams[b].close();
                grams[b] = null;
            }
        }
        bases = 0;
        moves.forget();
    }

    @Override
    public void close() {
        forget();
    }
}
