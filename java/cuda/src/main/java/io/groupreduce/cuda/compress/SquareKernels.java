package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;

/**
 * The kernels for D x D matrices of binary64. Structures are those of {@code eigen.h} and {@code compress.h} in {@code
 * native/include/groupreduce}.
 */
final class SquareKernels {
    private static final int THREADS = 256;
    private static final int TILE = 32;

    private final Device device;
    private final Kernel mirror;
    private final Kernel trace;
    private final Kernel narrow;
    private final Parameters parameters = new Parameters(32);

    SquareKernels(Device device) {
        this.device = device;
        mirror = device.kernel("gr_eigen_mirror");
        trace = device.kernel("gr_eigen_trace");
        narrow = device.kernel("gr_narrow");
    }

    /**
     * Completes {@code count} symmetric matrices, one behind the other, of which the numbers with column >= row are
     * valid.
     */
    void mirror(long matrices, int columns, int count) {
        int edge = Math.ceilDiv(columns, TILE);
        parameters.reset().address(matrices).i32(columns);
        mirror.launch(device.stream(), edge * (edge + 1) / 2, count, THREADS, 0, parameters);
    }

    /** Writes the traces of {@code count} matrices, one behind the other, to binary64 at {@code target}. */
    void traces(long matrices, int columns, int count, long target) {
        parameters.reset().address(matrices).address(target).i32(columns);
        trace.launch(device.stream(), count, 1, THREADS, 0, parameters);
    }

    /** Rounds {@code count} numbers to binary32. */
    void narrow(long from, long to, long count) {
        parameters.reset().address(from).address(to).i64(count);
        narrow.launch(device.stream(), (int) Math.ceilDiv(count, (long) THREADS), 1, THREADS, 0, parameters);
    }
}
