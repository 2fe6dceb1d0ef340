package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.compress.RowCopier.Factor;
import io.groupreduce.cuda.compress.RowCopier.Source;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Event;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.WorkMemory;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;

/**
 * The matrix A and its weights as the steps of a compression read them: chunks of rows in binary32 on the card.
 *
 * <p>Where memory allows, the whole matrix lies on the card as it is stored; otherwise every pass copies it from the
 * host, the next chunk while work on the present one runs. Rows of F32 that lie on the card are handed out where they
 * are, others are widened into a buffer of one chunk. A chunk is as long as the memory beside the matrix allows; {@link
 * #shrink} makes it shorter.
 *
 * <p>The length of a chunk decides where sums over rows are cut, so results are the same bit for bit on cards with room
 * for the longest chunks; where memory is short they agree to rounding.
 */
public final class DeviceMatrix {
    private static final int MOST_ROWS = 32768;
    private static final int LEAST_ROWS = 256;

    /** Rows of a chunk below which a resident matrix would slow the work down. */
    private static final int COMFORTABLE_ROWS = 2048;

    /**
     * Bytes that the steps need for each number of a chunk: two blocks gathered in binary64, coordinates, widened rows and
     * their terms.
     */
    private static final long WORK_BYTES = 48;

    /** D x D matrices of binary64 that the steps need: a Gram matrix, its copies, eigenvectors, room for the solver. */
    private static final long SQUARES = 8;

    private final Owned owned;
    private final Device device;
    private final Matrix matrix;
    private final RowCopier copier;
    private final WorkMemory widened;
    private final WorkMemory[] arriving = new WorkMemory[2];
    private final Event[] worked = new Event[2];
    private final DeviceMemory weights;
    private DeviceMemory stored;
    private int chunkRows;

    /**
     * Copies the weights, and the matrix if it fits.
     *
     * @throws io.groupreduce.cuda.driver.OutOfDeviceMemoryException if not even the weights fit
     */
    DeviceMatrix(Owned owned, Matrix matrix, float[] weights) {
        this(owned, matrix, owned.copy(MemorySegment.ofArray(weights), "the weights of the rows"));
        settle();
        if (stored != null) {
            device.upload(matrix.data(), stored, 0);
        }
    }

    /**
     * A matrix without weights in chunks of a given length, for a user who has taken the other memory it needs already:
     * the matrix stays on the card if it fits in what is left.
     *
     * @throws io.groupreduce.cuda.driver.OutOfDeviceMemoryException if not even the buffers of a chunk fit
     */
    public DeviceMatrix(Owned owned, Matrix matrix, int chunkRows) {
        this(owned, matrix, (DeviceMemory) null);
        this.chunkRows = chunkRows;
        widened.reserve(matrix.type() == DType.F32 ? 0 : 4L * chunkRows() * columns());
        if (takeUp(device.availableMemory())) {
            device.upload(matrix.data(), stored, 0);
        } else {
            for (WorkMemory buffer : arriving) {
                buffer.reserve(chunkRows() * rowBytes());
            }
        }
    }

    private DeviceMatrix(Owned owned, Matrix matrix, DeviceMemory weights) {
        this.owned = owned;
        this.matrix = matrix;
        this.weights = weights;
        device = owned.device();
        copier = new RowCopier(device);
        widened = owned.work("a chunk of rows in single precision");
        for (int b = 0; b < arriving.length; b++) {
            arriving[b] = owned.work("a chunk of rows from the host");
            worked[b] = owned.add(device.event());
        }
    }

    /** Decides whether the matrix stays on the card, and how long a chunk is. */
    private void settle() {
        long squares = SQUARES * Double.BYTES * columns() * columns() + ProductSums.partBytes(device, columns());
        long free = device.availableMemory() - squares;
        long perRow = WORK_BYTES * columns();
        if (takeUp(free - COMFORTABLE_ROWS * perRow)) {
            free -= matrix.bytes();
        } else {
            perRow += arriving.length * rowBytes();
        }
        chunkRows = MOST_ROWS;
        while (chunkRows > LEAST_ROWS && chunkRows * perRow > free) {
            chunkRows /= 2;
        }
    }

    /** Takes memory for the whole matrix if it fits in so many bytes; returns whether it did. */
    private boolean takeUp(long free) {
        if (matrix.bytes() <= free) {
            try {
                stored = owned.allocate(matrix.bytes(), "the matrix");
            } catch (OutOfDeviceMemoryException e) {
                // Free memory may lie in pieces: the matrix stays on the host.
            }
        }
        return stored != null;
    }

    /** N. */
    int rows() {
        return matrix.rows();
    }

    /** D. */
    int columns() {
        return matrix.columns();
    }

    /** The element type that rows are stored in. */
    DType type() {
        return matrix.type();
    }

    /** Bytes of a stored row. */
    long rowBytes() {
        return (long) columns() * matrix.type().bytes();
    }

    /** The stored rows on the host. */
    MemorySegment hostRows() {
        return matrix.data();
    }

    /** Whether the whole matrix lies on the card. */
    boolean resident() {
        return stored != null;
    }

    /** The device address of the stored rows; only when {@link #resident}. */
    long stored() {
        return stored.address();
    }

    /** The most rows that a visit gets. */
    int chunkRows() {
        return Math.min(chunkRows, rows());
    }

    /** The device address of N weights in binary32; only of a matrix that has them. */
    long weights() {
        return weights.address();
    }

    /**
     * Makes do with less memory: halves the chunks, and when they are short takes a resident matrix off the card.
     *
     * @return whether there was anything left to give up
     */
    boolean shrink() {
        if (chunkRows() > LEAST_ROWS) {
            chunkRows = Math.max(LEAST_ROWS, Integer.highestOneBit(chunkRows() - 1));
            return true;
        }
        if (stored == null) {
            return false;
        }
        stored.close();
        stored = null;
        return true;
    }

    /** Works on some rows of the matrix while they lie on the card. */
    @FunctionalInterface
    public interface Visitor {
        /**
         * Queues work on {@code device.stream()}; the rows stay until that work is through.
         *
         * @param values device address of {@code count} x D binary32, row-major
         * @param first the row that {@code values} begins with
         * @param count at least 1, at most {@link #chunkRows}
         */
        void visit(long values, int first, int count);
    }

    /** Visits all rows, chunk by chunk in their order. */
    public void forEach(Visitor visitor) {
        int turn = 0;
        for (long next = 0; next < rows(); next += chunkRows, turn ^= 1) {
            int first = (int) next;
            int count = Math.min(chunkRows, rows() - first);
            if (stored != null) {
                visitor.visit(single(stored.address() + first * rowBytes(), count), first, count);
            } else {
                long rows = arriving[turn].atLeast(chunkRows() * rowBytes());
                MemorySegment host = matrix.data().asSlice(first * rowBytes(), count * rowBytes());
                device.uploadAfter(worked[turn], host, arriving[turn].memory(), 0);
                visitor.visit(single(rows, count), first, count);
                device.stream().record(worked[turn]);
            }
        }
    }

    /** The same rows in binary32. */
    private long single(long rows, int count) {
        if (matrix.type() == DType.F32) {
            return rows;
        }
        long target = widened.atLeast(4L * chunkRows() * columns());
        Source source = new Source(rows, matrix.type(), 0, 0);
        copier.copy(device.stream(), source, columns(), count, Factor.ONE, 0, target, false);
        return target;
    }
}
