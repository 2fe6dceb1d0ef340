package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Event;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.cuda.inference.CudaHeadPass.Question;
import io.groupreduce.cuda.inference.HeadLayout.Table;
import io.groupreduce.cuda.inference.PassBuffers.Part;

/**
 * The launches of a pass: coordinates of the hidden states, one fused pass over the head, the merge of what its blocks found, and where a
 * list is wanted the tiles of largest maxima once more. What runs is described in {@code softmax.h}; nothing here waits for the card.
 *
 * <p>The merge and the list need the same pass and not each other: they go side by side, on the two streams of the device.
 */
final class CudaSweep implements AutoCloseable {
    private static final int THREADS = 256;
    private static final int FINISH_THREADS = 128;
    private static final int TARGET_THREADS = 128;
    private static final int TARGETS_OF_BLOCK = 4;
    private static final int SELECT_THREADS = 512;

    /** Columns of a tensor-core product: states that go together. */
    private static final int COLUMN_STATES = 8;

    /** States of a block of the largest kernel. */
    private static final int MOST_STATES = 8 * COLUMN_STATES;

    /** Three bfloat16 terms of a slice of eight states. */
    private static final int PANEL_SLICE_BYTES = 768;

    /** A group wider than shared memory holds is taken in chunks of a multiple of this. */
    private static final int FEWEST_PANEL_SLICES = 8;

    /** What a block of gr_softmax_1 keeps in shared memory besides, doubled with every larger kernel; rounded up. */
    private static final int STATIC_BYTES = 6 << 10;

    /** What the card keeps of shared memory for each block. */
    private static final int SYSTEM_BYTES = 1 << 10;

    /** By the registers of gr_softmax_1, _2, _4, _8. */
    private static final int[] BLOCKS_OF_MULTIPROCESSOR = {2, 2, 1, 1};

    private static final int PARAMETER_BYTES = 256;

    private final HeadLayout layout;
    private final CudaPackedHead head;
    private final PassBuffers buffers;
    private final Stream stream;
    private final Stream beside;
    private final Event scanned;
    private final Event merged;
    private final int sharedBytes;
    private final Kernel project;
    private final Kernel[] softmax;
    private final Kernel finish;
    private final Kernel target;
    private final Kernel selectPlaces;
    private final Kernel rescore;
    private final Kernel selectSorted;
    private final Parameters parameters = new Parameters(PARAMETER_BYTES);

    /** Finds the kernels; on the device's thread. */
    CudaSweep(Device device, CudaPackedHead head, PassBuffers buffers) {
        this.head = head;
        this.layout = head.layout();
        this.buffers = buffers;
        this.stream = device.stream();
        this.beside = device.copyStream();
        sharedBytes = device.properties().sharedBytesPerBlock();
        project = device.kernel("gr_project");
        softmax = new Kernel[] {
            device.kernel("gr_softmax_1"),
            device.kernel("gr_softmax_2"),
            device.kernel("gr_softmax_4"),
            device.kernel("gr_softmax_8")
        };
        finish = device.kernel("gr_finish");
        target = device.kernel("gr_target");
        selectPlaces = device.kernel("gr_select_places");
        rescore = device.kernel("gr_rescore");
        selectSorted = device.kernel("gr_select_sorted");
        // Last, so that nothing is open if a kernel is not found.
        scanned = device.event();
        try {
            merged = device.event();
        } catch (Throwable e) {
            scanned.close();
            throw e;
        }
    }

    /** Queues z = R h for the states in the buffers. */
    void project(int states) {
        if (layout.rightTiles.isEmpty()) {
            return;
        }
        parameters
                .reset()
                .address(head.at(Table.RIGHTS))
                .address(head.at(Table.RIGHT_TILES))
                .address(buffers.address(Part.HIDDEN))
                .address(buffers.address(Part.COORDINATES))
                .address(head.at(Table.LOG8))
                .i32(states)
                .i32(layout.columns)
                .i32(layout.directions());
        int strips = layout.rightTiles.size();
        project.launch(stream, strips, Math.ceilDiv(states, COLUMN_STATES), THREADS, 0, parameters);
    }

    /** Queues the answer to a question about states whose coordinates are there. */
    void answer(Question question, int states) {
        if (question.scanned()) {
            scan(question, states);
        }
        if (question.listed() > 1) {
            stream.record(scanned);
            beside.await(scanned);
            merge(question, states, beside);
            beside.record(merged);
            list(question, states);
            stream.await(merged);
        } else if (question.scanned()) {
            merge(question, states, stream);
        }
        if (question.target()) {
            score(states);
        }
    }

    /** Whole blocks of the largest kernel at once, then what is left by the kernel that fits it. */
    private void scan(Question question, int states) {
        int whole = states / MOST_STATES * MOST_STATES;
        if (whole > 0) {
            scan(question, 0, whole);
        }
        if (whole < states) {
            scan(question, whole, states - whole);
        }
    }

    private void scan(Question question, long first, int states) {
        int size = size(states);
        int slices = panelSlices(layout.mostSlices(), panelBytes(sharedBytes, size), size);
        int tiles = layout.plan.tiles.size();
        int blocks = layout.plan.blocks();
        inputs(first)
                .address(head.at(Table.TILES))
                .address(head.at(Table.FIRST_TILE))
                .address(buffers.address(Part.PARTIALS) + first * PassBuffers.PARTIAL_BYTES * blocks)
                .address(question.listed() > 1 ? buffers.address(Part.TILE_KEYS) + first * Long.BYTES * tiles : 0)
                .address(keptLogits(question, first))
                .address(question.drawn() ? buffers.address(Part.NOISE) + first * Long.BYTES : 0)
                .address(question.shifted() ? buffers.address(Part.SHIFT) + first * Float.BYTES : 0)
                .address(question.floored() ? buffers.address(Part.FLOOR) + first * Float.BYTES : 0)
                .f64(question.noiseScale())
                .f32(question.softmaxScale())
                .i32(states)
                .i32(tiles)
                .i32(layout.rows)
                .i32(slices);
        int columns = 1 << size;
        softmax[size].launch(
                stream,
                blocks,
                Math.ceilDiv(states, COLUMN_STATES * columns),
                THREADS,
                slices * columns * PANEL_SLICE_BYTES,
                parameters);
    }

    /** Writes the structure {@code GrInputs} of {@code softmax.h}, of the states from {@code first} on. */
    private Parameters inputs(long first) {
        return parameters
                .reset()
                .address(head.at(Table.GROUPS))
                .address(buffers.address(Part.HIDDEN) + first * Float.BYTES * layout.columns)
                .address(buffers.address(Part.COORDINATES) + first * Float.BYTES * layout.directions())
                .address(head.at(Table.LOG8))
                .i32(layout.columns)
                .i32(layout.directions());
    }

    /** Where the logits from a state on are kept; 0 if they are not. */
    private long keptLogits(Question question, long first) {
        return PassBuffers.keepsLogits(layout, question)
                ? buffers.address(Part.EVERY_LOGIT) + first * Float.BYTES * layout.rows
                : 0;
    }

    /** The number of the kernel whose 1, 2, 4 or 8 columns of eight states hold so many states, or the last. */
    static int size(int states) {
        int size = 0;
        while (size < 3 && states > COLUMN_STATES << size) {
            size++;
        }
        return size;
    }

    /**
     * Slices of operands in shared memory at a time: those of the widest group, or what fits, of which wider groups take a multiple of 8.
     */
    static int panelSlices(int widest, int bytes, int size) {
        int fitting = bytes / (PANEL_SLICE_BYTES << size);
        return Math.min(widest, Math.max(FEWEST_PANEL_SLICES, fitting));
    }

    /**
     * Shared memory that a block of a kernel may use for operands, so that as many blocks fit a multiprocessor as the kernel's registers
     * allow.
     */
    static int panelBytes(int sharedBytesPerBlock, int size) {
        int own = STATIC_BYTES << size;
        return sharedBytesPerBlock / BLOCKS_OF_MULTIPROCESSOR[size] - own - SYSTEM_BYTES;
    }

    private void merge(Question question, int states, Stream on) {
        parameters
                .reset()
                .address(buffers.address(Part.PARTIALS))
                .address(buffers.address(Part.COORDINATES))
                .address(buffers.address(Part.LOG_SUM_EXP))
                .address(buffers.address(Part.BEST))
                .address(question.drawn() ? buffers.address(Part.DRAWN) : 0)
                .address(buffers.address(Part.BROKEN))
                .i32(layout.plan.blocks())
                .i32(layout.directions());
        finish.launch(on, states, 1, FINISH_THREADS, 0, parameters);
    }

    /**
     * Queues the k likeliest tokens, k above 1, from the maxima of the tiles: the k largest logits lie in the k tiles of largest maxima,
     * whose logits are computed again unless they were kept.
     */
    private void list(Question question, int states) {
        int k = question.listed();
        int tiles = PassBuffers.chosenTiles(layout, k);
        select(selectPlaces, buffers.address(Part.TILE_KEYS), layout.plan.tiles.size(), tiles, states);
        inputs(0)
                .address(head.at(Table.TILES))
                .address(buffers.address(Part.PLACES))
                .address(keptLogits(question, 0))
                .address(buffers.address(Part.KEYS))
                .i32(tiles)
                .i32(layout.rows);
        rescore.launch(stream, tiles, states, THREADS, 0, parameters);
        select(selectSorted, buffers.address(Part.KEYS), tiles * TilePlan.TILE_ROWS, k, states);
    }

    private void select(Kernel kernel, long keys, int n, int k, int states) {
        parameters
                .reset()
                .address(keys)
                .address(buffers.address(Part.PLACES))
                .address(buffers.address(Part.TOKENS))
                .address(buffers.address(Part.LOGITS))
                .i32(n)
                .i32(k);
        kernel.launch(stream, states, 1, SELECT_THREADS, 0, parameters);
    }

    private void score(int states) {
        inputs(0)
                .address(head.at(Table.GROUP_OF))
                .address(head.at(Table.SLOT_OF))
                .address(buffers.address(Part.TARGET))
                .address(buffers.address(Part.SCORE))
                .i32(states);
        target.launch(stream, Math.ceilDiv(states, TARGETS_OF_BLOCK), 1, TARGET_THREADS, 0, parameters);
    }

    @Override
    public void close() {
        try (scanned) {
            merged.close();
        }
    }
}
