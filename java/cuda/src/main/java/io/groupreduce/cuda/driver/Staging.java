package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import java.lang.foreign.MemorySegment;
import java.util.function.LongFunction;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * Two page-locked buffers, made on first use and kept, through which ordinary host memory goes to the card and back: while the card copies
 * one, the host fills or empties the other.
 */
final class Staging implements AutoCloseable {
    private static final int BUFFERS = 2;
    private static final long LEAST_BYTES = 256 << 10;
    // A single core copies slower than the bus; below this size starting others costs more than they bring.
    private static final long PARALLEL_BYTES = 8 << 20;
    private static final int PARALLEL_PARTS = 8;
    // Never started: it tells whether memory may be read by a thread other than this one.
    private static final Thread ANOTHER = new Thread(() -> {});

    private final LongFunction<PinnedMemory> memory;
    private final Supplier<Event> events;
    private final long wantedBytes;
    private final Owned owned = new Owned(null);
    private final PinnedMemory[] buffers = new PinnedMemory[BUFFERS];
    private final Event[] idle = new Event[BUFFERS];
    private long pieceBytes;
    private int next;

    /**
     * @param memory gives so many bytes of page-locked memory, or throws {@link OutOfDeviceMemoryException}
     * @param events gives an event
     * @param wantedBytes of each buffer; fewer where the host has less page-locked memory to give
     */
    Staging(LongFunction<PinnedMemory> memory, Supplier<Event> events, long wantedBytes) {
        this.memory = memory;
        this.events = events;
        this.wantedBytes = wantedBytes;
    }

    /** Queues the copy of all of {@code source}; returns when the source is no longer needed. */
    void upload(MemorySegment source, long address, Stream stream) {
        open();
        for (long at = 0; at < source.byteSize(); at += pieceBytes) {
            long bytes = Math.min(pieceBytes, source.byteSize() - at);
            int b = take();
            MemorySegment piece = buffers[b].segment().asSlice(0, bytes);
            copy(source.asSlice(at, bytes), piece);
            stream.copyToDevice(address + at, piece);
            stream.record(idle[b]);
        }
    }

    /** Copies behind what is queued on {@code stream}, and returns when all of {@code target} is filled. */
    void download(long address, MemorySegment target, Stream stream) {
        open();
        long emptied = 0;
        int emptying = next;
        for (long at = 0; at < target.byteSize(); at += pieceBytes) {
            if (at - emptied >= BUFFERS * pieceBytes) {
                empty(emptying, target, emptied);
                emptying = (emptying + 1) % BUFFERS;
                emptied += pieceBytes;
            }
            int b = take();
            long bytes = Math.min(pieceBytes, target.byteSize() - at);
            stream.copyToHost(buffers[b].segment().asSlice(0, bytes), address + at);
            stream.record(idle[b]);
        }
        for (; emptied < target.byteSize(); emptied += pieceBytes) {
            empty(emptying, target, emptied);
            emptying = (emptying + 1) % BUFFERS;
        }
    }

    /** The size of a piece, once there are buffers. */
    long pieceBytes() {
        return pieceBytes;
    }

    @Override
    public void close() {
        pieceBytes = 0;
        owned.close();
    }

    private void empty(int buffer, MemorySegment target, long at) {
        long bytes = Math.min(pieceBytes, target.byteSize() - at);
        idle[buffer].synchronize();
        copy(buffers[buffer].segment().asSlice(0, bytes), target.asSlice(at, bytes));
    }

    /** The buffer that was used longest ago, free of the card. */
    private int take() {
        int b = next;
        next = (next + 1) % BUFFERS;
        idle[b].synchronize();
        return b;
    }

    private void open() {
        for (long bytes = wantedBytes; pieceBytes == 0; bytes /= 2) {
            try {
                for (int b = 0; b < BUFFERS; b++) {
                    buffers[b] = owned.add(memory.apply(bytes));
                    idle[b] = owned.add(events.get());
                }
                pieceBytes = bytes;
            } catch (Throwable e) {
                owned.closeAfter(e);
                if (!(e instanceof OutOfDeviceMemoryException)) {
                    throw e;
                }
                if (bytes / 2 < Math.min(LEAST_BYTES, wantedBytes)) {
                    throw new DeviceException(
                            "The host gives no page-locked memory, not even " + Ledger.size(BUFFERS * bytes)
                                    + ", which the GPU needs to copy; raise 'ulimit -l' or the container's memory limit.",
                            e);
                }
            }
        }
    }

    private static void copy(MemorySegment from, MemorySegment to) {
        if (from.byteSize() < PARALLEL_BYTES || !from.isAccessibleBy(ANOTHER) || !to.isAccessibleBy(ANOTHER)) {
            to.copyFrom(from);
            return;
        }
        long part = (from.byteSize() + PARALLEL_PARTS - 1) / PARALLEL_PARTS;
        IntStream.range(0, PARALLEL_PARTS).parallel().forEach(i -> {
            long start = Math.min(i * part, from.byteSize());
            long bytes = Math.min(part, from.byteSize() - start);
            to.asSlice(start, bytes).copyFrom(from.asSlice(start, bytes));
        });
    }
}
