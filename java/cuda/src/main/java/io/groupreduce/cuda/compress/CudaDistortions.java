package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.spi.Choice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What every row loses under every plan, N x P numbers, and the choice among the plans at a price.
 *
 * <pre>p(i) = argmin over p of distortion(i, p) + price * bytes_p</pre>
 *
 * <p>Rows lie in pieces, on the card as far as there is room and else on the host, from where they pass through a
 * window on the card for every choice. Costs are counted from the cheapest plan, so that a large price rounds no
 * distortion away and overflows for no plan that could win. Bytes a choice: 4 P read and 1 written a row. Never
 * materialised: objectives.
 */
final class CudaDistortions implements AutoCloseable {
    /** Rows that a block of the kernel takes: GR_CHOOSE_ROWS of {@code encode.h}. */
    private static final int UNIT_ROWS = 1024;

    /** Rows of the table begin at whole sectors of memory: this many numbers. */
    private static final int SECTOR = 8;

    private static final long PIECE_BYTES = 256L << 20;
    private static final int THREADS = 256;

    private final Device device;
    private final int rows;
    private final int plans;
    private final int stride;
    private final int pieceRows;
    private final Kernel chooseKernel;
    private final Kernel sumKernel;
    private final Parameters parameters = new Parameters(64);
    private final List<Piece> pieces = new ArrayList<>();
    private final ChoiceLayout layout;
    private final Owned owned;
    private final DeviceMemory chosen;
    private DeviceMemory window;
    private Arena hostMemory;

    /** Some rows; one of the two memories is {@code null}. */
    private record Piece(DeviceMemory card, MemorySegment host) {}

    /**
     * Makes room.
     *
     * @param headroom bytes to leave free on the card
     * @throws OutOfDeviceMemoryException if the card has not even room for a window
     */
    CudaDistortions(Device device, int rows, int plans, long headroom) {
        this.device = device;
        this.rows = rows;
        this.plans = plans;
        stride = (plans + SECTOR - 1) / SECTOR * SECTOR;
        chooseKernel = device.kernel("gr_choose");
        sumKernel = device.kernel("gr_choice_sum");
        layout = ChoiceLayout.of(rows, plans);
        long room = Math.max(0, device.availableMemory() - headroom);
        long units = Math.min(PIECE_BYTES, room / 4) / (rowBytes() * UNIT_ROWS);
        pieceRows = UNIT_ROWS * Math.clamp(units, 1, Math.ceilDiv(rows, UNIT_ROWS));
        owned = new Owned(device);
        try {
            chosen = owned.allocate(layout.bytes(), "the choices of the rows");
            for (int first = 0; first < rows; first += pieceRows) {
                pieces.add(piece(Math.min(pieceRows, rows - first) * rowBytes(), headroom));
            }
        } catch (Throwable e) {
            owned.closeAfter(e);
            throw e;
        }
    }

    private Piece piece(long bytes, long headroom) {
        if (hostMemory == null && bytes + windowBytes() + headroom <= device.availableMemory()) {
            return new Piece(owned.allocate(bytes, "the distortions of the rows"), null);
        }
        if (hostMemory == null) {
            // Confined memory would be unreadable to those who help to copy it.
            hostMemory = owned.add(Arena.ofShared());
            window = owned.allocate(windowBytes(), "a piece of the distortions");
        }
        return new Piece(null, hostMemory.allocate(bytes, Long.BYTES));
    }

    private long windowBytes() {
        return pieceRows * rowBytes();
    }

    private long rowBytes() {
        return (long) Float.BYTES * stride;
    }

    /** Whether it is one for so many plans. */
    boolean isFor(int otherPlans) {
        return plans == otherPlans;
    }

    /** Numbers from one row to the next. */
    int stride() {
        return stride;
    }

    /** The row behind the last one that can be written together with {@code row}. */
    int end(int row) {
        return Math.min(rows, (row / pieceRows + 1) * pieceRows);
    }

    /**
     * The device address where the distortions of a row, and of those up to {@link #end} behind it, are to be written.
     */
    long address(int row) {
        Piece piece = pieces.get(row / pieceRows);
        long start = piece.card() == null ? window.address() : piece.card().address();
        return start + row % pieceRows * rowBytes();
    }

    /** Takes up what was written of rows {@code first .. first + count - 1}, all of one piece. */
    void written(int first, int count) {
        Piece piece = pieces.get(first / pieceRows);
        if (piece.host() != null) {
            long offset = first % pieceRows * rowBytes();
            device.download(window, offset, piece.host().asSlice(offset, count * rowBytes()));
        }
    }

    /**
     * Where a choice's inputs and results lie, in bytes from the start of {@link #chosen}; groups of rows come last.
     */
    private record ChoiceLayout(
            int blocks,
            long costs,
            long distortions,
            long counts,
            long blockSums,
            long blockCounts,
            long groupOf,
            long bytes) {
        static ChoiceLayout of(int rows, int plans) {
            int blocks = Math.ceilDiv(rows, UNIT_ROWS);
            long eight = (long) Long.BYTES * plans;
            long groupOf = 3 * eight + blocks * (eight + eight / 2);
            return new ChoiceLayout(
                    blocks, 0, eight, 2 * eight, 3 * eight, 3 * eight + blocks * eight, groupOf, groupOf + rows);
        }
    }

    /** See {@link io.groupreduce.spi.CompressionWorkspace#choose}. */
    Choice choose(double price, double[] bytes, byte[] groupOf) {
        device.upload(MemorySegment.ofArray(costs(price, bytes)), chosen, layout.costs());
        long base = chosen.address();
        int open = 0;
        while (bytes[open] == Double.POSITIVE_INFINITY) {
            open++;
        }
        for (int p = 0; p < pieces.size(); p++) {
            int first = p * pieceRows;
            int count = Math.min(pieceRows, rows - first);
            if (pieces.get(p).host() != null) {
                device.upload(pieces.get(p).host(), window, 0);
            }
            int firstBlock = first / UNIT_ROWS;
            long sums = base + layout.blockSums() + (long) Double.BYTES * plans * firstBlock;
            long rowCounts = base + layout.blockCounts() + (long) Integer.BYTES * plans * firstBlock;
            parameters.reset().address(address(first), base + layout.costs(), base + layout.groupOf() + first);
            parameters.address(sums, rowCounts).i32(count, plans, stride, open);
            chooseKernel.launch(Math.ceilDiv(count, UNIT_ROWS), THREADS, parameters);
        }
        parameters.reset().address(base + layout.blockSums(), base + layout.blockCounts());
        parameters.address(base + layout.distortions(), base + layout.counts()).i32(layout.blocks(), plans);
        sumKernel.launch(plans, 32, parameters);
        double[] distortions = new double[plans];
        long[] counts = new long[plans];
        device.download(chosen, layout.distortions(), MemorySegment.ofArray(distortions));
        device.download(chosen, layout.counts(), MemorySegment.ofArray(counts));
        device.download(chosen, layout.groupOf(), MemorySegment.ofArray(groupOf));
        return new Choice(distortions, counts);
    }

    private static double[] costs(double price, double[] bytes) {
        double least = Arrays.stream(bytes).min().orElse(0);
        // A barred plan stays barred at price 0, where infinity times the price is not a number.
        return Arrays.stream(bytes)
                .map(b -> b == Double.POSITIVE_INFINITY ? b : price * (b - least))
                .toArray();
    }

    @Override
    public void close() {
        owned.close();
    }
}
