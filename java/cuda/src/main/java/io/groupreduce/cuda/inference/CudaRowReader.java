package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.MirroredMemory;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.cuda.inference.HeadLayout.Table;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Reads rows of A^, some of them at a time. */
final class CudaRowReader implements AutoCloseable {
    private static final int THREADS = 128;
    /** {@code GR_ROWS_OF_BLOCK}. */
    private static final int ROWS_OF_BLOCK = 8;

    private static final int PARAMETER_BYTES = 96;

    /** What comes back in one copy, unless a single row is longer. */
    private static final int PIECE_BYTES = 4 << 20;

    private final CudaPackedHead head;
    private final int columns;
    private final Stream stream;
    private final Kernel kernel;
    private final MirroredMemory wanted;
    private final MirroredMemory found;
    private final Parameters parameters = new Parameters(PARAMETER_BYTES);

    /** Finds the kernel; takes no memory yet. */
    CudaRowReader(Device device, CudaPackedHead head) {
        this.head = head;
        columns = head.layout().columns;
        stream = device.stream();
        kernel = device.kernel("gr_rows");
        wanted = new MirroredMemory(device, "tokens of rows");
        found = new MirroredMemory(device, "rows");
    }

    /** See {@link io.groupreduce.spi.InferenceSession#rows}. */
    void read(int[] tokens, int count, float[] target, int offset) {
        int most = Math.max(1, PIECE_BYTES / (Float.BYTES * columns));
        for (int first = 0; first < count; first += most) {
            int taken = Math.min(most, count - first);
            wanted.reserve((long) Integer.BYTES * taken);
            found.reserve((long) Float.BYTES * taken * columns);
            MemorySegment.copy(tokens, first, wanted.host(), ValueLayout.JAVA_INT, 0, taken);
            wanted.upload(stream, 0, (long) Integer.BYTES * taken);
            launch(taken);
            found.download(stream, (long) Float.BYTES * taken * columns);
            stream.synchronize();
            int at = offset + first * columns;
            MemorySegment.copy(found.host(), ValueLayout.JAVA_FLOAT, 0, target, at, taken * columns);
        }
    }

    private void launch(int count) {
        parameters
                .reset()
                .address(head.at(Table.GROUPS))
                .address(head.at(Table.RIGHTS))
                .address(head.at(Table.LOG8))
                .address(head.at(Table.GROUP_OF))
                .address(head.at(Table.SLOT_OF))
                .address(head.at(Table.BASIS_OF))
                .address(wanted.address())
                .address(found.address())
                .i32(columns, count);
        kernel.launch(stream, Math.ceilDiv(count, ROWS_OF_BLOCK), 1, THREADS, 0, parameters);
    }

    @Override
    public void close() {
        try (wanted) {
            found.close();
        }
    }
}
