package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.compress.RowCopier.Factor;
import io.groupreduce.cuda.compress.RowCopier.Source;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Event;
import io.groupreduce.cuda.driver.MirroredMemory;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.WorkMemory;
import io.groupreduce.internal.rows.RowLists;
import java.lang.foreign.MemorySegment;

/**
 * Listed rows of the matrix, brought together on the card block by block: by a kernel where the matrix lies on the
 * card, else from the host, which reads only the listed rows and fills one page-locked buffer while the other is
 * copied.
 *
 * <p>There are two blocks: the second stream of the device fills one while the first works on the other.
 */
final class GatheredRows {
    /** Bytes of each buffer that rows from the host pass through. */
    private static final long PIECE_BYTES = 8L << 20;

    private final Device device;
    private final DeviceMatrix matrix;
    private final long pieceBytes;
    private final RowCopier copier;
    private final WorkMemory numbers;
    private final Event listed;
    private final Block[] blocks;
    private final Piece[] pieces;
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

    GatheredRows(Owned owned, DeviceMatrix matrix) {
        this(owned, matrix, PIECE_BYTES);
    }

    /** With page-locked buffers of another size. */
    GatheredRows(Owned owned, DeviceMatrix matrix, long pieceBytes) {
        device = owned.device();
        this.matrix = matrix;
        this.pieceBytes = pieceBytes;
        copier = new RowCopier(device);
        numbers = owned.work("lists of rows");
        listed = owned.add(device.event());
        blocks = new Block[] {new Block(owned), new Block(owned)};
        pieces = new Piece[] {new Piece(owned), new Piece(owned)};
    }

    /** Takes up the lists that are visited from now on, and the memory for visiting them. */
    void load(RowLists value, boolean wide) {
        lists = value;
        numbers.upload(MemorySegment.ofArray(value.order()));
        for (Block block : blocks) {
            block.rows.reserve(blockBytes(wide));
        }
        device.stream().record(listed);
        device.copyStream().await(listed);
    }

    private long blockBytes(boolean wide) {
        return (long) blockRows() * matrix.columns() * (wide ? Double.BYTES : Float.BYTES);
    }

    /** The device address of the numbers of the rows from index {@code from} of the lists on. */
    long numbers(int from) {
        return numbers.address() + 4L * from;
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
        copier.copy(device.copyStream(), source, matrix.columns(), rows, factor, matrix.weights(), target, wide);
    }

    private void fromHost(int from, int count, Factor factor, long target, boolean wide) {
        int most = Math.clamp(pieceBytes / matrix.rowBytes(), 1, blockRows());
        long targetRowBytes = (long) matrix.columns() * (wide ? Double.BYTES : Float.BYTES);
        for (int done = 0; done < count; done += most) {
            int rows = Math.min(most, count - done);
            sending ^= 1;
            long stored = pieces[sending].send(from + done, rows, most * matrix.rowBytes());
            Source source = new Source(stored, matrix.type(), 0, numbers(from + done));
            copy(source, rows, factor, target + done * targetRowBytes, wide);
        }
    }

    /** Gathered rows, and when they are there and no longer needed. */
    private static final class Block {
        private final WorkMemory rows;
        private final Event filled;
        private final Event used;

        Block(Owned owned) {
            rows = owned.work("a block of gathered rows");
            filled = owned.add(owned.device().event());
            used = owned.add(owned.device().event());
        }
    }

    /** Some rows on their way from the host. */
    private final class Piece {
        private final MirroredMemory memory;
        private final Event sent;

        Piece(Owned owned) {
            memory = owned.addPassing(new MirroredMemory(device, "rows from the host"));
            sent = owned.add(device.event());
        }

        /**
         * Copies listed rows to the card as they are stored, and returns where they lie once {@code copyStream()} gets
         * there.
         *
         * @param bytes the most that are sent together
         */
        long send(int from, int count, long bytes) {
            long rowBytes = matrix.rowBytes();
            sent.synchronize();
            memory.reserve(bytes);
            for (int i = 0; i < count; i++) {
                long row = lists.order()[from + i];
                MemorySegment.copy(matrix.hostRows(), row * rowBytes, memory.host(), i * rowBytes, rowBytes);
            }
            memory.upload(device.copyStream(), 0, count * rowBytes);
            device.copyStream().record(sent);
            return memory.address();
        }
    }
}
