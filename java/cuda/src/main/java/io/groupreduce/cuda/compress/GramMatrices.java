package io.groupreduce.cuda.compress;

import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.cuda.compress.RowKernels.Factor;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import java.util.Arrays;

/**
 * The Gram matrices of all bases on the card, kept up to date as rows move.
 *
 * <pre>G_b = sum over rows i of basis b of w_i A_i^T A_i,   A_i: D numbers, G_b: D x D in binary64</pre>
 *
 * <p>They are in the space of A; the metric is applied to them, not to rows. A basis that few rows join or leave is
 * corrected by their contributions; one that many do is computed again, and so is one whose rounding errors could show:
 * what is left of it is small against what has passed through it. Bytes: the rows added and taken away, gathered and
 * scaled once (12 D a row in binary64) and read by the product. Never materialised: the scaled matrix beyond a block.
 */
final class GramMatrices implements AutoCloseable {
    private static final int NO_BASIS = CompressionWorkspace.NO_BASIS;

    /** Energy that may pass through a basis, relative to what it holds, before it is computed again. */
    private static final double MAX_CHURN = 16;

    private final Device device;
    private final DeviceMatrix matrix;
    private final float[] weights;
    private final RowEnergies energies;
    private final GatheredRows gathered;
    private final ProductSums sums;
    private final DeviceMemory[] grams = new DeviceMemory[NO_BASIS];
    private final double[] energy = new double[NO_BASIS];
    private final double[] passed = new double[NO_BASIS];
    private final byte[] previous;
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
        this.weights = weights;
        this.energies = energies;
        this.gathered = gathered;
        this.sums = sums;
        previous = new byte[weights.length];
        forget();
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
            boolean[] afresh = census(basisOf);
            for (int b = 0; b < bases; b++) {
                if (afresh[b]) {
                    device.stream().clear(gram(b), grams[b].bytes());
                    passed[b] = energy[b];
                }
            }
            byte[] joins = new byte[basisOf.length];
            byte[] leaves = new byte[basisOf.length];
            compare(basisOf, afresh, joins, leaves);
            add(joins, 1);
            add(leaves, -1);
            System.arraycopy(basisOf, 0, previous, 0, previous.length);
        } catch (RuntimeException e) {
            forget();
            throw e;
        }
    }

    private void resize(int newBases) {
        for (int b = newBases; b < bases; b++) {
            grams[b].close();
            grams[b] = null;
            passed[b] = 0;
        }
        bases = Math.min(bases, newBases);
        long bytes = 8L * matrix.columns() * matrix.columns();
        for (int b = bases; b < newBases; b++) {
            grams[b] = device.allocate(bytes, "the Gram matrix of basis " + b + " of " + newBases);
            device.stream().clear(gram(b), bytes);
            bases = b + 1;
        }
    }

    /** Sums the energies and tells which bases to compute afresh. */
    private boolean[] census(byte[] basisOf) {
        float[] rowEnergies = energies.host();
        int[] rows = new int[NO_BASIS + 1];
        int[] moves = new int[NO_BASIS + 1];
        double[] moved = new double[NO_BASIS + 1];
        Arrays.fill(energy, 0);
        for (int i = 0; i < basisOf.length; i++) {
            int now = basisOf[i] & 0xff;
            int before = previous[i] & 0xff;
            double contribution = (double) weights[i] * rowEnergies[i];
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
     * The basis that each row must be added to, and the one that it must be subtracted from. Rows of weight 0 change
     * nothing.
     */
    private void compare(byte[] basisOf, boolean[] afresh, byte[] joins, byte[] leaves) {
        for (int i = 0; i < basisOf.length; i++) {
            int now = basisOf[i] & 0xff;
            int before = previous[i] & 0xff;
            boolean counts = weights[i] != 0;
            boolean adds = counts && now < bases && (afresh[now] || now != before);
            boolean subtracts = counts && before < bases && !afresh[before] && now != before;
            joins[i] = (byte) (adds ? now : NO_BASIS);
            leaves[i] = (byte) (subtracts ? before : NO_BASIS);
        }
    }

    private void add(byte[] basisOf, double sign) {
        RowLists lists = RowLists.of(basisOf, bases);
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
        Arrays.fill(previous, (byte) NO_BASIS);
        Arrays.fill(passed, 0);
    }

    @Override
    public void close() {
        forget();
    }
}
