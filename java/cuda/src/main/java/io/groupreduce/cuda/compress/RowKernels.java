package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.matrix.DType;

/**
 * The kernels that move rows: from what is stored, rows in order or from a list, to binary32 or binary64, times a
 * weight; and to binary32 what else is rounded. Structures are those of {@code native/include/groupreduce/compress.h}.
 */
final class RowKernels {
    /** What a copied row is multiplied by. */
    enum Factor {
        ONE,
        WEIGHT,
        ROOT_OF_WEIGHT
    }

    private static final int THREADS = 256;
    private static final int WARP = 32;

    private final Device device;
    private final Kernel copy;
    private final Kernel addSingle;
    private final Kernel narrow;
    private final Parameters parameters = new Parameters(64);

    RowKernels(Device device) {
        this.device = device;
        copy = device.kernel("gr_copy_rows");
        addSingle = device.kernel("gr_add_single");
        narrow = device.kernel("gr_narrow");
    }

    /**
     * Where rows come from.
     *
     * @param values device address of rows of D numbers
     * @param type F32, F16 or BF16
     * @param places device address of int32, which row of {@code values} row i is; 0 when it is row i
     * @param numbers device address of int32, the number of row i in the whole matrix, which finds its weight; 0
     *     when it is i
     */
    record Source(long values, DType type, long places, long numbers) {
        /** Rows of binary32, one after the other. */
        static Source single(long values) {
            return new Source(values, DType.F32, 0, 0);
        }
    }

    /**
     * Copies {@code count} rows.
     *
     * @param weights device address of one binary32 a row of the whole matrix; read unless {@code factor} is ONE
     * @param target device address of count x D numbers
     * @param wide whether to write binary64 rather than binary32
     */
    void copy(Source source, int columns, int count, Factor factor, long weights, long target, boolean wide) {
        copy(device.stream(), source, columns, count, factor, weights, target, wide);
    }

    /** The same on another stream. */
    void copy(
            Stream stream,
            Source source,
            int columns,
            int count,
            Factor factor,
            long weights,
            long target,
            boolean wide) {
        parameters
                .reset()
                .address(source.values())
                .address(source.places())
                .address(source.numbers())
                .address(factor == Factor.ONE ? 0 : weights)
                .address(target)
                .i32(count)
                .i32(columns)
                .i32(code(source.type()))
                .i32(wide ? 1 : 0)
                .i32(factor == Factor.ROOT_OF_WEIGHT ? 1 : 0);
        copy.launch(stream, Math.ceilDiv(count, THREADS / WARP), 1, THREADS, 0, parameters);
    }

    /** {@code sums[x] += sign * values[x]} for {@code count} binary32 values and binary64 sums. */
    void addSingle(long values, double sign, long sums, long count) {
        parameters.reset().address(values).address(sums).i64(count).f64(sign);
        addSingle.launch(device.stream(), (int) Math.ceilDiv(count, (long) THREADS), 1, THREADS, 0, parameters);
    }

    /** Rounds {@code count} numbers to binary32. */
    void narrow(long from, long to, long count) {
        parameters.reset().address(from).address(to).i64(count);
        narrow.launch(device.stream(), (int) Math.ceilDiv(count, (long) THREADS), 1, THREADS, 0, parameters);
    }

    /** The number that stands for an element type in a kernel's structure. */
    private static int code(DType type) {
        return switch (type) {
            case F32 -> 0;
            case F16 -> 1;
            case BF16 -> 2;
            default -> throw new IllegalArgumentException("no rows of type " + type);
        };
    }
}
