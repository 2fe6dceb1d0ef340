package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.compress.RowKernels.Factor;
import io.groupreduce.cuda.compress.RowKernels.Source;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Event;
import io.groupreduce.cuda.driver.PinnedMemory;
import io.groupreduce.cuda.driver.Scratch;
import io.groupreduce.internal.rows.RowLists;
import java.lang.foreign.MemorySegment;

/**
 * Listed rows of the matrix, brought together on the card block by block: by a kernel where the matrix lies on the
 * card, else from the host, which reads only the listed rows and fills one page-locked buffer while the other is
 * copied.
 *
 * <p>There are two blocks: the second stream of the device fills one while the first works on the other.
 */
final class GatheredRows implements AutoCloseable {
    /** Bytes of each buffer that rows from the host pass through. */
    private static final long PIECE_BYTES = 8L << 20;

    private final Device device;
    private final DeviceMatrix matrix;
    private final long pieceBytes;
    private final RowKernels kernels;
    private final Scratch numbers;
    private final Block[] blocks = new Block[2];
    private Event listed;
    private final Piece[] pieces = new Piece[2];
    private RowLists lists;
    private int turn;
    private int sending;

    /** Works on a block of gathered rows. */
    @FunctionalInterface
    interface Visitor {
        /**
         * Queues work on {@code device.stream()}; the block stays until that work is through.
         *
         * @param rows device address of count x D numbers, row-major
         * @param numbers device address of the rows' numbers, {@code count} int32
         */
        void visit(long rows, long numbers, int count);
    }

    GatheredRows(Device device, DeviceMatrix matrix) {
        this(device, matrix, PIECE_BYTES);
    }

    /** With page-locked buffers of another size. */
    GatheredRows(Device device, DeviceMatrix matrix, long pieceBytes) {
        this.device = device;
        this.matrix = matrix;
        this.pieceBytes = pieceBytes;
        kernels = new RowKernels(device);
        numbers = new Scratch(device, "lists of rows");
    }

    /** Takes up the lists that are visited from now on, and the memory for visiting them. */
    void load(RowLists value, boolean wide) {
        lists = value;
        numbers.upload(MemorySegment.ofArray(value.order()));
        for (int b = 0; b < blocks.length; b++) {
            blocks[b] = blocks[b] == null ? new Block() : blocks[b];
            blocks[b].rows.atLeast(blockBytes(wide));
        }
        listed = listed == null ? device.event() : listed;
        device.stream().record(listed);
        device.copyStream().await(listed);
    }

    private long blockBytes(boolean wide) {
        return (long) blockRows() * matrix.columns() * (wide ? Double.BYTES : Float.BYTES);
    }

    /** The device address of the numbers of the rows from index {@code from} of the lists on. */
    long numbers(int from) {
        return numbers.atLeast(0) + 4L * from;
    }

    /** The most rows that a visit gets. */
    int blockRows() {
        return matrix.chunkRows();
    }

    /**
     * Visits the rows {@code from .. from + count - 1} of the lists, block by block.
     *
     * @param factor what rows are multiplied by
     * @param wide whether the visitor gets binary64 rather than binary32
     */
    void forEach(int from, int count, Factor factor, boolean wide, Visitor visitor) {
        for (int done = 0; done < count; done += blockRows()) {
            int rows = Math.min(blockRows(), count - done);
            turn ^= 1;
            Block block = blocks[turn];
            long target = block.rows.atLeast(blockBytes(wide));
            device.copyStream().await(block.used);
            if (matrix.resident()) {
                long list = numbers(from + done);
                copy(new Source(matrix.stored(), matrix.type(), list, list), rows, factor, target, wide);
            } else {
                fromHost(from + done, rows, factor, target, wide);
            }
            device.copyStream().record(block.filled);
            device.stream().await(block.filled);
            visitor.visit(target, numbers(from + done), rows);
            device.stream().record(block.used);
        }
    }

    private void copy(Source source, int rows, Factor factor, long target, boolean wide) {
        kernels.copy(device.copyStream(), source, matrix.columns(), rows, factor, matrix.weights(), target, wide);
    }

    private void fromHost(int from, int count, Factor factor, long target, boolean wide) {
        int most = Math.clamp(pieceBytes / matrix.rowBytes(), 1, blockRows());
        long targetRowBytes = (long) matrix.columns() * (wide ? Double.BYTES : Float.BYTES);
        for (int done = 0; done < count; done += most) {
            int rows = Math.min(most, count - done);
            long stored = nextPiece(most * matrix.rowBytes()).send(from + done, rows);
            Source source = new Source(stored, matrix.type(), 0, numbers(from + done));
            copy(source, rows, factor, target + done * targetRowBytes, wide);
        }
    }

    private Piece nextPiece(long bytes) {
        sending ^= 1;
        if (pieces[sending] == null || pieces[sending].memory.segment().byteSize() < bytes) {
            closePiece(sending);
            pieces[sending] = new Piece(bytes);
        }
        return pieces[sending];
    }

    private void closePiece(int index) {
        if (pieces[index] != null) {
            pieces[index].close();
            pieces[index] = null;
        }
    }

    /** Frees everything; {@link #load} brings back what it needs. */
    @Override
    public void close() {
        numbers.close();
        for (int p = 0; p < pieces.length; p++) {
            closePiece(p);
        }
        for (int b = 0; b < blocks.length; b++) {
            if (blocks[b] != null) {
                blocks[b].close();
                blocks[b] = null;
            }
        }
        if (listed != null) {
            listed.close();
            listed = null;
        }
    }

    /** Gathered rows, and when they are there and no longer needed. */
    private final class Block implements AutoCloseable {
        private final Scratch rows = new Scratch(device, "a block of gathered rows");
        private final Event filled = device.event();
        private final Event used = device.event();

        @Override
        public void close() {
            rows.close();
            filled.close();
            used.close();
        }
    }

    /** Some rows on their way from the host. */
    private final class Piece implements AutoCloseable {
        private final Scratch arrived = new Scratch(device, "rows from the host");
        private final Event sent = device.event();
        private final PinnedMemory memory;

        Piece(long bytes) {
            try {
                memory = device.pinned(bytes);
                arrived.atLeast(bytes);
            } catch (RuntimeException e) {
                close();
                throw e;
            }
        }

        /**
         * Copies listed rows to the card as they are stored, and returns where they lie once {@code copyStream()} gets
         * there.
         */
        long send(int from, int count) {
            long rowBytes = matrix.rowBytes();
            sent.synchronize();
            for (int i = 0; i < count; i++) {
                long row = lists.order()[from + i];
                MemorySegment.copy(matrix.hostRows(), row * rowBytes, memory.segment(), i * rowBytes, rowBytes);
            }
            long address = arrived.atLeast(0);
            device.copyStream().copyToDevice(address, memory.segment().asSlice(0, count * rowBytes));
            device.copyStream().record(sent);
            return address;
        }

        @Override
        public void close() {
            arrived.close();
            sent.close();
            if (memory != null) {
                memory.close();
            }
        }
    }
}
