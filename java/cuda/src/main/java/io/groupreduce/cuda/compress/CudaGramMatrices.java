package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.compress.RowCopier.Factor;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.internal.rows.RowLists;
import io.groupreduce.internal.rows.RowMoves;
import java.util.ArrayList;
import java.util.List;

/**
 * The Gram matrices of all bases on the card, kept up to date as rows move.
 *
 * <pre>G_b = sum over rows i of basis b of w_i A_i^T A_i,   A_i: D numbers, G_b: D x D in binary64</pre>
 *
 * <p>They are in the space of A; the metric is applied to them, not to rows. {@link RowMoves} says which rows are added
 * and taken away. A basis of fewer rows than columns has a D x D matrix too: the card solves one size at a time. Bytes: these, gathered and scaled once (12 D a row in binary64) and read by the product. Never
 * materialised: the scaled matrix beyond a block.
 */
final class CudaGramMatrices {
    private final Device device;
    private final DeviceMatrix matrix;
    private final CudaRowEnergies energies;
    private final GatheredRows gathered;
    private final ProductSums sums;
    private final List<DeviceMemory> grams = new ArrayList<>();
    private final RowMoves moves;

    /** Starts with no row in any basis. */
    CudaGramMatrices(
            Owned owned,
            DeviceMatrix matrix,
            float[] weights,
            CudaRowEnergies energies,
            GatheredRows gathered,
            ProductSums sums) {
        device = owned.device();
        owned.add(this::forget);
        this.matrix = matrix;
        this.energies = energies;
        this.gathered = gathered;
        this.sums = sums;
        moves = new RowMoves(weights, 0);
    }

    int bases() {
        return grams.size();
    }

    /** The device address of a Gram matrix; of symmetric pairs only the number with column >= row counts. */
    long gram(int basis) {
        return grams.get(basis).address();
    }

    /** Takes up a new assignment; after an exception, the next call starts from nothing. */
    void update(byte[] basisOf, int newBases) {
        try {
            resize(newBases);
            moves.compare(basisOf, newBases, energies.host());
            for (int b = 0; b < newBases; b++) {
                if (moves.afresh(b)) {
                    device.stream().clear(gram(b), grams.get(b).bytes());
                }
            }
            add(moves.joining(), 1);
            add(moves.leaving(), -1);
            moves.accept();
        } catch (Throwable e) {
            forget();
            throw e;
        }
    }

    private void resize(int newBases) {
        while (grams.size() > newBases) {
            grams.removeLast().close();
        }
        long bytes = 8L * matrix.columns() * matrix.columns();
        while (grams.size() < newBases) {
            int b = grams.size();
            grams.add(device.allocate(bytes, "the Gram matrix of basis " + b + " of " + newBases));
            device.stream().clear(gram(b), bytes);
        }
    }

    private void add(RowLists lists, double sign) {
        if (lists.rows() == 0) {
            return;
        }
        gathered.load(lists, sums.wide());
        for (int b = 0; b < bases(); b++) {
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
        resize(0);
        moves.forget();
    }
}
