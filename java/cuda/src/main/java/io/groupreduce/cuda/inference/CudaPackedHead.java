package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.compress.RowForm;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.inference.HeadLayout.Table;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.MemorySegment;

/**
 * A head in one block of device memory: packed strips, scales, tables. Stored rows are read where they lie, in a mapped file or elsewhere,
 * brought over in pieces and packed on the card, so the processor never holds a second copy.
 */
final class CudaPackedHead implements AutoCloseable {
    private static final int PACK_THREADS = 256;
    private static final int LANES = 32;
    private static final int PACK_PARAMETERS = 120;

    private final Device device;
    private final HeadLayout layout;
    private final DeviceMemory memory;

    /**
     * Loads a head; on the device's thread. What fails half-way leaves nothing behind.
     *
     * @param bias length N, or {@code null}
     */
    CudaPackedHead(Device device, HeadLayout layout, CompressedMatrix matrix, float[] bias) {
        this.device = device;
        this.layout = layout;
        memory = device.allocate(layout.bytes(), "the head of '" + matrix.name() + "'");
        try (DeviceMemory piece = device.allocate(layout.pieceBytes(), "loading the head of '" + matrix.name() + "'")) {
            Loading loading = new Loading(piece);
            layout.rights.forEach(loading::load);
            layout.groups.forEach(loading::load);
            HeadTables tables = new HeadTables(layout, matrix, bias, memory.address());
            for (Table table : Table.values()) {
                MemorySegment content = tables.table(table);
                if (content.byteSize() > 0) {
                    device.upload(content, memory, layout.at(table));
                }
            }
            device.stream().synchronize();
        } catch (Throwable e) {
            memory.close();
            throw e;
        }
    }

    /** The way of stored rows to packed strips: one piece lies on the card at a time. */
    private final class Loading {
        private final DeviceMemory piece;
        private final Kernel pack = device.kernel("gr_pack");
        private final Parameters parameters = new Parameters(PACK_PARAMETERS);

        Loading(DeviceMemory piece) {
            this.piece = piece;
        }

        void load(PackedPart part) {
            if (part.codes() != PackedPart.NONE && part.blocks() > 0) {
                int rows = HeadLayout.pieceRows(part);
                for (int first = 0; first < part.rows(); first += Math.min(rows, part.rows() - first)) {
                    load(part, first, Math.min(rows, part.rows() - first));
                }
            }
            if (part.scales() != PackedPart.NONE) {
                EncodedMatrix stored = part.stored();
                long bytes = (long) part.rows()
                        * stored.scalesPerRow()
                        * stored.scaleFormat().bytes();
                device.upload(stored.scales().asSlice(0, bytes), memory, part.scales());
                long end = memory.address() + part.scales() + bytes;
                device.stream().clear(end, PackedPart.scaleBytes(stored) - bytes);
            }
        }

        private void load(PackedPart part, int first, int count) {
            long rowBytes = part.rowBytes();
            device.upload(part.stored().data().asSlice(first * rowBytes, count * rowBytes), piece, 0);
            int strips = Math.ceilDiv(count, PackedPart.STRIP);
            long target = memory.address() + part.codes() + first / PackedPart.STRIP * part.stripBytes();
            parameters
                    .reset()
                    .address(piece.address(), 0)
                    .i32(RowForm.of(part.stored()))
                    .i32(0);
            parameters.address(target).i64(part.stripBytes()).i32(part.runs()).i32(count, strips);
            int blocks = Math.toIntExact(Math.ceilDiv((long) strips * part.blocks() * LANES, PACK_THREADS));
            pack.launch(device.stream(), blocks, 1, PACK_THREADS, 0, parameters);
        }
    }

    HeadLayout layout() {
        return layout;
    }

    /** The address of a table. */
    long at(Table table) {
        return memory.address() + layout.at(table);
    }

    @Override
    public void close() {
        memory.close();
    }
}
