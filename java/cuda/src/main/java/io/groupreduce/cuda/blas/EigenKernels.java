package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;

/**
 * Launches the kernels of {@code native/kernels/eigen.cu}; what they compute is said there. A "table" is where on the
 * device the addresses of a batch's matrices lie. D is called {@code order}.
 */
final class EigenKernels {
    private static final int THREADS = 256;
    private static final int TILE = 32;

    private final Device device;
    private final Kernel mirror;
    private final Kernel trace;
    private final Kernel random;
    private final Kernel affine;
    private final Kernel normalize;
    private final Kernel deviation;
    private final Kernel residual;
    private final Kernel reverse;
    private final Parameters parameters = new Parameters(64);

    EigenKernels(Device device) {
        this.device = device;
        mirror = device.kernel("gr_eigen_mirror");
        trace = device.kernel("gr_eigen_trace");
        random = device.kernel("gr_eigen_random");
        affine = device.kernel("gr_eigen_affine");
        normalize = device.kernel("gr_eigen_normalize");
        deviation = device.kernel("gr_eigen_deviation");
        residual = device.kernel("gr_eigen_residual");
        reverse = device.kernel("gr_eigen_reverse");
    }

    /** Copies the lower triangles of {@code count} matrices, one behind the other, to the upper. */
    void mirror(long matrices, int order, int count) {
        int tiles = (order + TILE - 1) / TILE;
        launch(mirror, tiles * (tiles + 1) / 2, count, start(matrices).i32(order));
    }

    /** The traces of {@code count} matrices, one behind the other. */
    void trace(long matrices, long traces, int order, int count) {
        launch(trace, count, 1, start(matrices, traces).i32(order));
    }

    /**
     * The first vectors of each block, {@code counts} of it but at most {@code most}, become random; {@code keys} name
     * their streams.
     */
    void random(long blocks, long counts, long keys, int order, int most, int count) {
        double unit = Math.sqrt(3.0 / order);
        launch(random, most, count, start(blocks, counts, keys).f64(unit).i32(order));
    }

    /** {@code factor matrix - I}, per matrix. */
    void affine(long matrices, long shifted, long factors, int order, int count) {
        launch(affine, order, count, start(matrices, shifted, factors).i32(order));
    }

    /** Every vector of every block gets length 1. */
    void normalize(long blocks, int order, int width, int count) {
        launch(normalize, width, count, start(blocks).i32(order));
    }

    /**
     * How far each of the matrices, one behind the other, is from the identity; the diagonals of those beyond {@code
     * limit} grow.
     */
    void deviation(long grams, long deviations, double limit, double shift, int width, int count) {
        launch(deviation, count, 1, start(grams, deviations).f64(limit, shift).i32(width));
    }

    /** {@code squares = |y - value x|^2} of every vector of every block. */
    void residual(long x, long y, long values, long squares, int order, int width, int count) {
        launch(residual, width, count, start(x, y, values, squares).i32(order, width));
    }

    /** The last {@code wanted} of {@code count} vectors, the last first. */
    void reverse(long source, long target, int order, int count, int wanted) {
        launch(reverse, wanted, 1, start(source, target).i32(order, count));
    }

    private Parameters start(long... addresses) {
        return parameters.reset().address(addresses);
    }

    private void launch(Kernel kernel, int gridX, int gridY, Parameters filled) {
        kernel.launch(device.stream(), gridX, gridY, THREADS, 0, filled);
    }
}
