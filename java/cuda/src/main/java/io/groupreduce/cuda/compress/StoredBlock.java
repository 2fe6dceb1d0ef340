package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.compress.RowRuns.Block;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The stored bytes of a block of rows on the card, the table by which kernels find them (GrStoredRows of {@code stored.h}),
 * and the kernels that store and read rows. The rows of a group that lie in a block follow each other in its matrix: a
 * block is a few ranges of bytes.
 */
final class StoredBlock {
    /** Bytes of {@code GrStoredRows}. */
    private static final int STRUCTURE_BYTES = 80;

    private static final int ALIGNMENT = 16;
    private static final int THREADS = 256;
    private static final int ENCODE_THREADS = 128;
    private static final int WARP = 32;

    private final Device device;
    private final RowRuns runs;
    private final List<EncodedMatrix> left;
    private final List<Range> ranges = new ArrayList<>();
    private final DeviceMemory memory;
    private final DeviceImage table;
    private final ScaleTables scales;
    private final Kernel encode;
    private final Kernel decode;
    private final Parameters parameters = new Parameters(64);
    private int groups;

    /** Bytes of a group's matrix, and where they lie on the card. */
    private record Range(MemorySegment host, long offset) {}

    /**
     * Takes memory for the largest of some blocks.
     *
     * @param left per group, as {@link io.groupreduce.spi.CompressionWorkspace#encodeLeft} has it
     */
    StoredBlock(Owned owned, RowRuns runs, List<EncodedMatrix> left, List<Block> blocks) {
        device = owned.device();
        this.runs = runs;
        this.left = left;
        long most = 1;
        int mostGroups = 1;
        for (Block block : blocks) {
            long bytes = 0;
            for (int key = block.run().firstKey(); key < block.run().endKey(); key++) {
                EncodedMatrix matrix = left.get(runs.group(key));
                if (matrix != null) {
                    int rows = end(block, key) - start(block, key);
                    bytes += roundUp(rows * rowBytes(matrix)) + roundUp(rows * scaleRowBytes(matrix));
                }
            }
            most = Math.max(most, bytes);
            mostGroups = Math.max(mostGroups, block.run().endKey() - block.run().firstKey());
        }
        memory = owned.allocate(most, "a block of stored rows");
        table = new DeviceImage(owned, mostGroups * STRUCTURE_BYTES, "the table of a block of stored rows");
        scales = new ScaleTables(owned);
        encode = device.kernel("gr_encode");
        decode = device.kernel("gr_decode");
    }

    /** The first of a block's rows that has the key, as a place in the lists. */
    private int start(Block block, int key) {
        return Math.max(block.from(), runs.lists().start(key));
    }

    private int end(Block block, int key) {
        return Math.max(
                start(block, key),
                Math.min(block.from() + block.count(), runs.lists().start(key + 1)));
    }

    private static long rowBytes(EncodedMatrix matrix) {
        return matrix.profile().rowBytes();
    }

    private static long scaleRowBytes(EncodedMatrix matrix) {
        return (long) matrix.scalesPerRow() * matrix.scaleFormat().bytes();
    }

    private static long roundUp(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** Takes up a block; its bytes on the card mean nothing yet. */
    void begin(Block block) {
        ranges.clear();
        table.reset();
        long offset = 0;
        groups = 0;
        for (int key = block.run().firstKey(); key < block.run().endKey(); key++) {
            int from = start(block, key);
            int rows = end(block, key) - from;
            if (rows == 0) {
                continue;
            }
            EncodedMatrix matrix = left.get(runs.group(key));
            long slot = from - runs.lists().start(key);
            long codes = offset;
            offset += range(matrix.data(), slot, rows, rowBytes(matrix), offset);
            long scaleBytes = offset;
            offset += range(matrix.scales(), slot, rows, scaleRowBytes(matrix), offset);
            table.i64(memory.address() + codes, memory.address() + scaleBytes);
            table.i32(RowForm.of(matrix)).i32(from - block.from()).align(Long.BYTES);
            groups++;
        }
        table.upload();
    }

    private long range(MemorySegment host, long slot, int rows, long rowBytes, long offset) {
        if (rowBytes > 0) {
            ranges.add(new Range(host.asSlice(slot * rowBytes, rows * rowBytes), offset));
        }
        return roundUp(rows * rowBytes);
    }

    /** Takes up a block and copies its bytes to the card. */
    void load(Block block) {
        begin(block);
        for (Range range : ranges) {
            device.upload(range.host(), memory, range.offset());
        }
    }

    /**
     * Reads the rows of the block.
     *
     * @param target count x width binary32; numbers beyond those of a row become 0
     */
    void decode(long target, int count, int width) {
        parameters.reset().address(table.address(), scales.log8(), target).i32(count, width, groups);
        decode.launch(Math.ceilDiv(count, THREADS / WARP), THREADS, parameters);
    }

    /**
     * Stores rows in the block.
     *
     * @param values count x width binary32
     * @param factors what the numbers of a row are multiplied by first, or 0
     * @param errorWeights what their squared errors count, or 0
     */
    void encode(long values, int count, int width, long factors, long errorWeights) {
        parameters.reset().address(values, table.address(), factors, errorWeights, scales.log8(), scales.steps());
        encode.launch(Math.ceilDiv(count, ENCODE_THREADS / WARP), ENCODE_THREADS, parameters.i32(count, width, groups));
    }

    /** Copies the block's bytes into the groups' matrices, once what is queued is through. */
    void download() {
        for (Range range : ranges) {
            device.download(memory, range.offset(), range.host());
        }
    }
}
