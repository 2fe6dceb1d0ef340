package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;

/** The kernels that assign rows. Structures are those of {@code native/include/groupreduce/compress.h}. */
final class AssignmentKernels {
    private static final int THREADS = 256;
    private static final int WARP = 32;

    private final Device device;
    private final Kernel prefixEnergies;
    private final Kernel choose;
    private final Kernel gainWhenDense;
    private final Parameters parameters = new Parameters(96);

    AssignmentKernels(Device device) {
        this.device = device;
        prefixEnergies = device.kernel("gr_prefix_energies");
        choose = device.kernel("gr_choose_candidate");
        gainWhenDense = device.kernel("gr_gain_when_dense");
    }

    /**
     * Sums squared coordinates up to some ranks.
     *
     * @param coordinates rows of {@code width} binary32
     * @param ends {@code levels} ascending ranks, int32
     * @param kept receives {@code levels} binary32 a row, rows {@code stride} apart
     */
    void prefixEnergies(long coordinates, int count, int width, long ends, int levels, long kept, int stride) {
        parameters.reset().address(coordinates).address(ends).address(kept);
        parameters.i32(count).i32(width).i32(levels).i32(stride);
        launch(prefixEnergies, Math.ceilDiv(count, THREADS / WARP));
    }

    /**
     * The candidates to choose from, on the card.
     *
     * @param prices binary64
     * @param slotOf int32
     * @param count how many
     * @param slots numbers of kept energy a row
     */
    record Candidates(long prices, long slotOf, int count, int slots) {}

    /**
     * What is known of some rows, and where the answer goes, on the card: arrays of one number a row.
     *
     * @param energies binary32
     * @param weights binary32
     * @param kept binary32, {@code slots} a row
     * @param current bytes
     * @param best bytes
     * @param gain binary32
     */
    record Rows(long energies, long weights, long kept, long current, long best, long gain) {}

    /** Finds the best candidate of {@code count} rows. */
    void choose(Candidates candidates, Rows rows, int count) {
        parameters.reset().address(rows.energies()).address(rows.weights()).address(rows.kept());
        parameters.address(candidates.prices()).address(candidates.slotOf());
        parameters.address(rows.current()).address(rows.best()).address(rows.gain());
        parameters.i32(count).i32(candidates.count()).i32(candidates.slots());
        launch(choose, Math.ceilDiv(count, THREADS));
    }

    /**
     * What listed rows of one candidate gain when they become dense.
     *
     * @param energies N binary32
     * @param weights N binary32
     * @param numbers {@code count} int32
     * @param kept {@code count} binary32, or 0 when the candidate keeps nothing
     * @param gain N binary32
     * @param price what the candidate costs more than the dense one
     * @param all whether the candidate keeps all
     */
    void gainWhenDense(
            long energies, long weights, long numbers, long kept, long gain, double price, int count, boolean all) {
        parameters
                .reset()
                .address(energies)
                .address(weights)
                .address(numbers)
                .address(kept)
                .address(gain);
        parameters.f64(price).i32(count).i32(all ? 1 : 0);
        launch(gainWhenDense, Math.ceilDiv(count, THREADS));
    }

    private void launch(Kernel kernel, int blocks) {
        kernel.launch(device.stream(), blocks, 1, THREADS, 0, parameters);
    }
}
