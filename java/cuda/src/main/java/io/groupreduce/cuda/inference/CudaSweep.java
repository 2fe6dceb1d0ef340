package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Event;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.cuda.inference.HeadLayout.Table;
import io.groupreduce.cuda.inference.PassBuffers.Part;
import io.groupreduce.cuda.inference.PassBuffers.Shape;

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

    /** Columns of a tensor-core product: states or questions that go together. */
    private static final int COLUMNS = 8;

    /** Questions of a block of the largest kernel. */
    private static final int MOST_QUESTIONS = 8 * COLUMNS;

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
    private final float cap;
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
    CudaSweep(Device device, CudaPackedHead head, double cap, PassBuffers buffers) {
        this.head = head;
        this.cap = (float) cap;
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
        project.launch(stream, strips, Math.ceilDiv(states, COLUMNS), THREADS, 0, parameters);
    }

    /** Queues the answers to the questions about states whose coordinates are there. */
    void answer(Shape shape) {
        if (shape.questions() > 0) {
            scan(shape);
            if (shape.listed() > 0) {
                stream.record(scanned);
                beside.await(scanned);
                merge(shape, beside);
                beside.record(merged);
                list(shape);
                stream.await(merged);
            } else {
                merge(shape, stream);
            }
        }
        if (shape.targets() > 0) {
            score(shape.targets());
        }
    }

    /** Whole blocks of the largest kernel at once, then what is left by the kernel that fits it. */
    private void scan(Shape shape) {
        int count = shape.questions();
        int whole = count / MOST_QUESTIONS * MOST_QUESTIONS;
        if (whole > 0) {
            scan(shape, 0, whole);
        }
        if (whole < count) {
            scan(shape, whole, count - whole);
        }
    }

    private void scan(Shape shape, long first, int count) {
        int size = size(count);
        int slices = panelSlices(layout.mostSlices(), panelBytes(sharedBytes, size), size);
        int tiles = layout.plan.tiles.size();
        int blocks = layout.plan.blocks();
        inputs().address(buffers.address(Part.QUESTIONS) + first * PassBuffers.QUESTION_BYTES)
                .address(head.at(Table.TILES))
                .address(head.at(Table.FIRST_TILE))
                .address(buffers.address(Part.PARTIALS) + first * PassBuffers.PARTIAL_BYTES * blocks)
                .address(shape.listed() > 0 ? buffers.address(Part.TILE_KEYS) + first * Long.BYTES * tiles : 0)
                .address(keptLogits(shape, first))
                .i32(count)
                .i32(tiles)
                .i32(layout.rows)
                .i32(slices)
                .i32(shape.masks() > 0 ? 1 : 0)
                .i32(shape.drawn() ? 1 : 0);
        int columns = 1 << size;
        softmax[size].launch(
                stream,
                blocks,
                Math.ceilDiv(count, COLUMNS * columns),
                THREADS,
                slices * columns * PANEL_SLICE_BYTES,
                parameters);
    }

    /** Writes the structure {@code GrInputs} of {@code softmax.h}. */
    private Parameters inputs() {
        return parameters
                .reset()
                .address(head.at(Table.GROUPS))
                .address(buffers.address(Part.HIDDEN))
                .address(buffers.address(Part.COORDINATES))
                .address(head.at(Table.LOG8))
                .i32(layout.columns)
                .i32(layout.directions())
                .f32(cap);
    }

    /** Where the logits from a question on are kept; 0 if they are not. */
    private long keptLogits(Shape shape, long first) {
        return PassBuffers.keepsLogits(layout, shape)
                ? buffers.address(Part.EVERY_LOGIT) + first * Float.BYTES * layout.rows
                : 0;
    }

    /** The number of the kernel whose 1, 2, 4 or 8 columns of eight questions hold so many, or the last. */
    static int size(int questions) {
        int size = 0;
        while (size < 3 && questions > COLUMNS << size) {
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

    private void merge(Shape shape, Stream on) {
        parameters
                .reset()
                .address(buffers.address(Part.QUESTIONS))
                .address(buffers.address(Part.PARTIALS))
                .address(buffers.address(Part.COORDINATES))
                .address(buffers.address(Part.ANSWERS))
                .i32(layout.plan.blocks())
                .i32(layout.directions());
        finish.launch(on, shape.questions(), 1, FINISH_THREADS, 0, parameters);
    }

    /**
     * Queues the lists of two tokens and more, from the maxima of the tiles: the k largest logits lie in the k tiles of largest maxima,
     * whose logits are computed again unless they were kept.
     */
    private void list(Shape shape) {
        int k = shape.listed();
        int tiles = PassBuffers.chosenTiles(layout, k);
        int questions = shape.questions();
        select(selectPlaces, Part.TILE_KEYS, layout.plan.tiles.size(), tiles, questions);
        inputs().address(buffers.address(Part.QUESTIONS))
                .address(head.at(Table.TILES))
                .address(buffers.address(Part.PLACES))
                .address(keptLogits(shape, 0))
                .address(buffers.address(Part.KEYS))
                .i32(tiles)
                .i32(layout.rows);
        rescore.launch(stream, tiles, questions, THREADS, 0, parameters);
        select(selectSorted, Part.KEYS, tiles * TilePlan.TILE_ROWS, k, questions);
    }

    private void select(Kernel kernel, Part keys, int n, int k, int questions) {
        parameters
                .reset()
                .address(buffers.address(Part.QUESTIONS))
                .address(buffers.address(keys))
                .address(buffers.address(Part.PLACES))
                .address(buffers.address(Part.TOKENS))
                .address(buffers.address(Part.LOGITS))
                .i32(n)
                .i32(k);
        kernel.launch(stream, questions, 1, SELECT_THREADS, 0, parameters);
    }

    private void score(int targets) {
        inputs().address(head.at(Table.GROUP_OF))
                .address(head.at(Table.SLOT_OF))
                .address(buffers.address(Part.TARGETS))
                .address(buffers.address(Part.SCORES))
                .i32(targets);
        target.launch(stream, Math.ceilDiv(targets, TARGETS_OF_BLOCK), 1, TARGET_THREADS, 0, parameters);
    }

    @Override
    public void close() {
        try (scanned) {
            merged.close();
        }
    }
}
