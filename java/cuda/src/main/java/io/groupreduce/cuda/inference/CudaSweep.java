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
    private static final int SELECT_THREADS = 512;

    /** States of a block of gr_project. */
    private static final int STATES = 8;

    /** Kernels take 2, 4 or 8 questions at a time. */
    private static final int LARGEST = 2;

    /** {@code GR_RING_BYTES}. */
    private static final int RING_BYTES = 32768;

    /** What a block of gr_softmax_2, _4, _8 keeps in shared memory besides, rounded up. */
    private static final int[] STATIC_BYTES = {17 << 10, 24 << 10, 47 << 10};

    /** The same of gr_project. */
    private static final int PROJECTION_BYTES = 30 << 10;

    /** What the card keeps of shared memory for each block. */
    private static final int SYSTEM_BYTES = 1 << 10;

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
            device.kernel("gr_softmax_2"), device.kernel("gr_softmax_4"), device.kernel("gr_softmax_8")
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
        int panel = Math.min(
                HeadLayout.panelBytes(layout.rights, STATES),
                sharedBytes - PROJECTION_BYTES - RING_BYTES - SYSTEM_BYTES);
        parameters
                .reset()
                .address(head.at(Table.RIGHTS))
                .address(head.at(Table.RIGHT_TILES))
                .address(buffers.address(Part.HIDDEN))
                .address(buffers.address(Part.COORDINATES))
                .address(head.at(Table.LOG8))
                .i32(states)
                .i32(layout.columns)
                .i32(layout.directions())
                .i32(panel);
        int strips = layout.rightTiles.size();
        project.launch(stream, strips, Math.ceilDiv(states, STATES), THREADS, RING_BYTES + panel, parameters);
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

    private void scan(Shape shape) {
        int count = shape.questions();
        int size = size(count);
        int panel = panelBytes(HeadLayout.panelBytes(layout.groups, 2 << size), sharedBytes, size);
        inputs().address(buffers.address(Part.QUESTIONS))
                .address(head.at(Table.SEGMENTS))
                .address(head.at(Table.FIRST_SEGMENT))
                .address(buffers.address(Part.PARTIALS))
                .address(shape.listed() > 0 ? buffers.address(Part.TILE_KEYS) : 0)
                .address(keptLogits(shape))
                .i32(count)
                .i32(layout.plan.tiles.size())
                .i32(layout.rows)
                .i32(panel)
                .i32(shape.masks() > 0 ? 1 : 0)
                .i32(shape.drawn() ? 1 : 0);
        int blocks = layout.plan.blocks();
        softmax[size].launch(stream, blocks, Math.ceilDiv(count, 2 << size), THREADS, RING_BYTES + panel, parameters);
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

    /** Where all logits are kept; 0 if they are not. */
    private long keptLogits(Shape shape) {
        return PassBuffers.keepsLogits(layout, shape) ? buffers.address(Part.EVERY_LOGIT) : 0;
    }

    /** The number of the kernel whose 2, 4 or 8 questions hold so many, or the last. */
    static int size(int questions) {
        int size = 0;
        while (size < LARGEST && questions > 2 << size) {
            size++;
        }
        return size;
    }

    /**
     * Shared memory of a block for operands: what they need where two blocks with that fit a multiprocessor, else at most what one block
     * may have; groups that need more take theirs in chunks.
     */
    static int panelBytes(int needed, int sharedBytesPerBlock, int size) {
        int own = STATIC_BYTES[size] + RING_BYTES + SYSTEM_BYTES;
        return needed <= sharedBytesPerBlock / 2 - own ? needed : Math.min(needed, sharedBytesPerBlock - own);
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
                .address(keptLogits(shape))
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
        target.launch(stream, targets, 1, THREADS, 0, parameters);
    }

    @Override
    public void close() {
        try (scanned) {
            merged.close();
        }
    }
}
