package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.matrix.DType;

/**
 * The kernel that moves rows: from what is stored, in order or from a list, to binary32 or binary64, times a weight. Its
 * structure is that of {@code native/include/groupreduce/compress.h}.
 */
final class RowCopier {
    /** What a copied row is multiplied by. */
    enum Factor {
        ONE,
        WEIGHT,
        ROOT_OF_WEIGHT
    }

    private static final int THREADS = 256;
    private static final int WARP = 32;

    private final Kernel kernel;
    private final Parameters parameters = new Parameters(64);

    RowCopier(Device device) {
        kernel = device.kernel("gr_copy_rows");
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
    void copy(
            Stream stream,
            Source source,
            int columns,
            int count,
            Factor factor,
            long weights,
            long target,
            boolean wide) {
        parameters.reset().address(source.values(), source.places(), source.numbers());
        parameters.address(factor == Factor.ONE ? 0 : weights, target);
        parameters.i32(count, columns, code(source.type()), wide ? 1 : 0, factor == Factor.ROOT_OF_WEIGHT ? 1 : 0);
        kernel.launch(stream, Math.ceilDiv(count, THREADS / WARP), 1, THREADS, 0, parameters);
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
