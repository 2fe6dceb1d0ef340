package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;

/**
 * The kernels that store rows, read stored rows, and measure what is lost. Structures are those of {@code
 * native/include/groupreduce/encode.h}; addresses are the device's, and what is null there is 0 here.
 */
final class StoredKernels {
    private static final int THREADS = 256;
    private static final int ENCODE_THREADS = 128;
    private static final int WARP = 32;

    private final Device device;
    private final Kernel encode;
    private final Kernel decode;
    private final Kernel difference;
    private final Kernel rowLoss;
    private final Kernel listedWeights;
    private final Parameters parameters = new Parameters(64);

    StoredKernels(Device device) {
        this.device = device;
        encode = device.kernel("gr_encode");
        decode = device.kernel("gr_decode");
        difference = device.kernel("gr_difference");
        rowLoss = device.kernel("gr_row_loss");
        listedWeights = device.kernel("gr_listed_weights");
    }

    /**
     * Rows of numbers and the groups they belong to.
     *
     * @param values count x width binary32
     * @param table of the groups, {@code groups} of them
     */
    record Rows(long values, int count, int width, long table, int groups) {}

    /**
     * Stores rows.
     *
     * @param factors what the numbers of a row are multiplied by first, or 0
     * @param errorWeights what their squared errors count, or 0
     */
    void encode(Rows rows, long factors, long errorWeights, ScaleTables scales) {
        parameters
                .reset()
                .address(rows.values())
                .address(rows.table())
                .address(factors)
                .address(errorWeights)
                .address(scales.log8())
                .address(scales.fine())
                .i32(rows.count())
                .i32(rows.width())
                .i32(rows.groups());
        launchWarps(encode, rows.count(), ENCODE_THREADS);
    }

    /** Reads stored rows; numbers beyond those of a row become 0. */
    void decode(Rows rows, ScaleTables scales) {
        parameters
                .reset()
                .address(rows.table())
                .address(scales.log8())
                .address(rows.values())
                .i32(rows.count())
                .i32(rows.width())
                .i32(rows.groups());
        launchWarps(decode, rows.count(), THREADS);
    }

    /** {@code values -= rebuilt}, {@code count} numbers. */
    void subtract(long rebuilt, long values, long count) {
        parameters.reset().address(rebuilt).address(values).i64(count);
        difference.launch(
                device.stream(), Math.toIntExact(Math.ceilDiv(count, (long) THREADS)), 1, THREADS, 0, parameters);
    }

    /**
     * {@code losses[numbers[i]] = w ||values_i - rebuilt_i||^2}, in binary64.
     *
     * @param rebuilt 0 where values are differences already
     * @param weights w by row of the matrix
     */
    void rowLosses(long values, long rebuilt, long numbers, long weights, long losses, int count, int columns) {
        parameters
                .reset()
                .address(values)
                .address(rebuilt)
                .address(numbers)
                .address(weights)
                .address(losses)
                .i32(count)
                .i32(columns);
        launchWarps(rowLoss, count, THREADS);
    }

    /** {@code listed[i] = weights[numbers[i]]}. */
    void listWeights(long numbers, long weights, long listed, int count) {
        parameters.reset().address(numbers).address(weights).address(listed).i32(count);
        listedWeights.launch(device.stream(), Math.ceilDiv(count, THREADS), 1, THREADS, 0, parameters);
    }

    private void launchWarps(Kernel kernel, int rows, int threads) {
        kernel.launch(device.stream(), Math.ceilDiv(rows, threads / WARP), 1, threads, 0, parameters);
    }
}
