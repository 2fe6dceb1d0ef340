package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.compress.RowRuns.Block;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The stored bytes of a block of rows on the card, and the table by which kernels find them (GrStored of {@code
 * encode.h}). The rows of a group that lie in a block follow each other in its matrix: a block is a few ranges of
 * bytes.
 */
final class StoredBlock implements AutoCloseable {
    /** Bytes of {@code GrStored}. */
    private static final int STRUCTURE_BYTES = 48;

    private static final int ALIGNMENT = 16;

    private final Device device;
    private final RowRuns runs;
    private final List<EncodedMatrix> left;
    private final List<Range> ranges = new ArrayList<>();
    private final DeviceMemory memory;
    private final DeviceImage table;

    /** Bytes of a group's matrix, and where they lie on the card. */
    private record Range(MemorySegment host, long offset) {}

    /**
     * Takes memory for the largest of some blocks.
     *
     * @param left per group, as {@link io.groupreduce.spi.CompressionWorkspace#encodeLeft} has it
     */
    StoredBlock(Device device, RowRuns runs, List<EncodedMatrix> left, List<Block> blocks) {
        this.device = device;
        this.runs = runs;
        this.left = left;
        long most = 1;
        int groups = 1;
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
            groups = Math.max(groups, block.run().endKey() - block.run().firstKey());
        }
        memory = device.allocate(most, "a block of stored rows");
        try {
            table = new DeviceImage(device, groups * STRUCTURE_BYTES, "the table of a block of stored rows");
        } catch (RuntimeException e) {
            memory.close();
            throw e;
        }
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
        return matrix.codec().rowBytes(matrix.width());
    }

    private static long scaleRowBytes(EncodedMatrix matrix) {
        return (long) matrix.scalesPerRow() * scaleBytes(matrix);
    }

    private static int scaleBytes(EncodedMatrix matrix) {
        return matrix.codec().scaled() ? matrix.scaleFormat().bytes() : 0;
    }

    private static long roundUp(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** Takes up a block; its bytes on the card mean nothing yet. Returns how many groups it has. */
    int begin(Block block) {
        ranges.clear();
        table.reset();
        long offset = 0;
        int groups = 0;
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
            long scales = offset;
            offset += range(matrix.scales(), slot, rows, scaleRowBytes(matrix), offset);
            write(matrix, memory.address() + codes, memory.address() + scales, from - block.from());
            groups++;
        }
        table.upload();
        return groups;
    }

    private long range(MemorySegment host, long slot, int rows, long rowBytes, long offset) {
        if (rowBytes > 0) {
            ranges.add(new Range(host.asSlice(slot * rowBytes, rows * rowBytes), offset));
        }
        return roundUp(rows * rowBytes);
    }

    private void write(EncodedMatrix matrix, long codes, long scales, int first) {
        Codec codec = matrix.codec();
        table.i64(codes).i64(scales);
        table.i32(Math.toIntExact(rowBytes(matrix))).i32(matrix.width()).i32(codec.bits());
        table.i32(matrix.block()).i32(matrix.scalesPerRow()).i32(scaleBytes(matrix));
        table.i32(first).i32(codec.scaled() ? ScaleTables.steps(codec, matrix.scaleFormat()) : 0);
    }

    /** The device address of the table of the present block. */
    long table() {
        return table.address();
    }

    /** Copies the block's bytes to the card. */
    void upload() {
        for (Range range : ranges) {
            device.upload(range.host(), memory, range.offset());
        }
    }

    /** Copies them back into the groups' matrices, once what is queued is through. */
    void download() {
        for (Range range : ranges) {
            device.download(memory, range.offset(), range.host());
        }
    }

    @Override
    public void close() {
        table.close();
        memory.close();
    }
}
