package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.ToLongFunction;

/**
 * What {@link BlockKrylov} works in, one allocation: per basis a D x D matrix and three blocks of D x width; the small
 * matrices, width x width one behind the other; Ritz values and residuals; and the tables, rows of one word per basis
 * in the order of the list last written.
 */
final class KrylovMemory implements AutoCloseable {
    /** The rows of the tables. */
    enum Row {
        MATRIX,
        SHIFTED,
        FIRST,
        SECOND,
        X,
        Y,
        SPARE,
        SMALL,
        STAYING,
        FACTOR,
        COUNT,
        KEY
    }

    private static final int BLOCKS = 3;
    private static final long ALIGNMENT = 256;

    private final Device device;
    private final int order;
    private final int width;
    private final int capacity;
    private final DeviceMemory memory;
    private final long smalls;
    private final long results;
    private final long deviations;
    private final long tables;
    private final MemorySegment host;
    /** Whether rows were written since the tables were last sent. */
    private boolean written;

    /** @param capacity how many bases it has room for */
    KrylovMemory(Device device, int order, int width, int capacity) {
        this.device = device;
        this.order = order;
        this.width = width;
        this.capacity = capacity;
        smalls = capacity * basisBytes(order, width);
        results = smalls + capacity * smallBytes(width);
        deviations = results + align(2L * capacity * width * Double.BYTES);
        tables = deviations + align((long) capacity * Double.BYTES);
        host = Arena.ofAuto().allocate((long) Row.values().length * capacity * Long.BYTES, Long.BYTES);
        memory = device.allocate(tables + host.byteSize(), "the eigensolver's blocks");
    }

    /** Bytes that a basis needs, tables aside. */
    static long bytes(int order, int width) {
        return basisBytes(order, width) + smallBytes(width) + 3L * width * Double.BYTES;
    }

    /** D. */
    int order() {
        return order;
    }

    int width() {
        return width;
    }

    /** Gives each basis its blocks. */
    void place(List<KrylovBasis> bases) {
        for (int b = 0; b < bases.size(); b++) {
            long shifted = memory.address() + b * basisBytes(order, width);
            long first = shifted + align((long) order * order * Double.BYTES);
            long block = blockBytes(order, width);
            bases.get(b).place(shifted, first, first + block, first + 2 * block);
        }
    }

    /** Writes a row: a word of each basis. */
    void write(Row row, List<KrylovBasis> bases, ToLongFunction<KrylovBasis> word) {
        for (int b = 0; b < bases.size(); b++) {
            writeWord(row, b, word.applyAsLong(bases.get(b)));
        }
    }

    /** Writes one number of a row of 32-bit numbers. */
    void writeNumber(Row row, int b, int number) {
        host.set(ValueLayout.JAVA_INT, (long) row.ordinal() * capacity * Long.BYTES + (long) b * Integer.BYTES, number);
        written = true;
    }

    /** Writes where the small matrices lie. */
    void writeSmalls(int count) {
        for (int b = 0; b < count; b++) {
            writeWord(Row.SMALL, b, smalls() + (long) b * width * width * Double.BYTES);
        }
    }

    private void writeWord(Row row, int b, long word) {
        host.setAtIndex(ValueLayout.JAVA_LONG, (long) row.ordinal() * capacity + b, word);
        written = true;
    }

    /** Where a row lies on the device, which has what was written as soon as work that is queued from now on reads it. */
    long row(Row row) {
        if (written) {
            written = false;
            device.upload(host, memory, tables);
        }
        return memory.address() + tables + (long) row.ordinal() * capacity * Long.BYTES;
    }

    long smalls() {
        return memory.address() + smalls;
    }

    /** Ritz values, ascending, width of each basis. */
    long values() {
        return memory.address() + results;
    }

    /** The squared residuals in the same order. */
    long squares() {
        return values() + (long) capacity * width * Double.BYTES;
    }

    long deviations() {
        return memory.address() + deviations;
    }

    double[] readDeviations(int count) {
        double[] read = new double[count];
        device.download(memory, deviations, MemorySegment.ofArray(read));
        return read;
    }

    /** Values, then squares, {@code capacity} times width each. */
    double[] readResults() {
        double[] read = new double[2 * capacity * width];
        device.download(memory, results, MemorySegment.ofArray(read));
        return read;
    }

    @Override
    public void close() {
        memory.close();
    }

    private static long basisBytes(int order, int width) {
        return align((long) order * order * Double.BYTES) + BLOCKS * blockBytes(order, width);
    }

    private static long blockBytes(int order, int width) {
        return align((long) order * width * Double.BYTES);
    }

    private static long smallBytes(int width) {
        return align((long) width * width * Double.BYTES);
    }

    private static long align(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}
