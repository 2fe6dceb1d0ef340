package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Graph;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.cuda.inference.PassBuffers.Part;
import io.groupreduce.cuda.inference.PassBuffers.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Takes a batch to the card in as many rounds as its memory asks for, most often one: one copy to the card, some launches, one copy back.
 */
final class CudaHeadPass implements AutoCloseable {
    /** Small rounds are launched as one graph, because the launches would take longer than the kernels. */
    private static final int MOST_GRAPH_COLUMNS = 8;

    private static final int MOST_GRAPHS = 64;

    private final Device device;
    private final HeadLayout layout;
    private final CudaSweep sweep;
    private final PassBuffers buffers;
    private final Round round;
    /** The rounds that were asked for already, and their graphs from the second time on. */
    private final Map<Shape, Optional<Graph>> graphs = new HashMap<>();

    private long budget;

    /**
     * Prepares queries; takes no memory yet.
     *
     * @param cap c of {@code c tanh(y / c)}, 0 for none
     * @param budget bytes of work memory, which a single state may exceed
     */
    CudaHeadPass(Device device, CudaPackedHead head, double cap, long budget) {
        this.device = device;
        this.layout = head.layout();
        this.budget = budget;
        buffers = new PassBuffers(device, layout);
        round = new Round(layout, buffers);
        sweep = new CudaSweep(device, head, cap, buffers);
    }

    /** See {@link io.groupreduce.spi.InferenceSession#answer}. */
    void answer(Batch batch) {
        for (round.start(batch); round.isLeft(); round.next()) {
            run();
            round.answer();
        }
    }

    /** See {@link io.groupreduce.spi.InferenceSession#logits}. */
    void logits(float[] hidden, int states, MemorySegment target) {
        long row = (long) Float.BYTES * layout.rows;
        for (round.start(Batch.ofLogits(hidden, states)); round.isLeft(); round.next()) {
            run();
            long first = round.firstQuestion();
            int count = round.shape().questions();
            device.download(buffers.memory(Part.EVERY_LOGIT), 0, target.asSlice(first * row, count * row));
            for (int i = 0; i < count; i++) {
                if (round.isBroken(i)) {
                    fill(target.asSlice((first + i) * row, row), Float.NaN);
                }
            }
        }
    }

    private static void fill(MemorySegment target, float value) {
        for (long at = 0; at < target.byteSize(); at += Float.BYTES) {
            target.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, value);
        }
    }

    /** Answers the next round; the answers are in the buffers. */
    private void run() {
        reserve();
        round.put();
        Shape shape = round.shape();
        Stream stream = device.stream();
        if (shape.states() > MOST_GRAPH_COLUMNS || shape.questions() > MOST_GRAPH_COLUMNS) {
            queue(shape);
        } else {
            queueOrLaunch(shape, stream);
        }
        stream.synchronize();
    }

    /** Plans the next round and makes room for it; a smaller one where the card is short of memory. */
    private void reserve() {
        while (true) {
            Shape shape = round.plan(budget);
            if (isReserved(shape, round.isSmallest())) {
                return;
            }
        }
    }

    /** Makes room for a pass, or makes the budget smaller. */
    private boolean isReserved(Shape shape, boolean smallest) {
        try {
            if (buffers.reserve(shape)) {
                forgetGraphs();
            }
            return true;
        } catch (OutOfDeviceMemoryException e) {
            forgetGraphs();
            buffers.close();
            if (smallest) {
                throw e;
            }
            budget = PassBuffers.bytes(layout, shape) / 2;
            return false;
        }
    }

    /** Room for questions about so many states, one each, or about as many as there is memory for; the shape of their pass. */
    Shape reserve(int states, int listed, boolean drawn) {
        long each = PassBuffers.bytes(layout, Shape.one(0, listed, false));
        int count = Math.clamp(budget / each, 1, states);
        while (true) {
            Shape shape = new Shape(count, count, 0, 0, listed, drawn, false);
            if (isReserved(shape, count == 1)) {
                return shape;
            }
            count = (count + 1) / 2;
        }
    }

    HeadLayout layout() {
        return layout;
    }

    CudaSweep sweep() {
        return sweep;
    }

    PassBuffers buffers() {
        return buffers;
    }

    private void forgetGraphs() {
        graphs.values().forEach(graph -> graph.ifPresent(Graph::close));
        graphs.clear();
    }

    /**
     * Queues a small round, from its second time on as a graph: what is asked once is not worth noting, and the first launch of a kernel
     * may load it onto the card, which must not happen while launches are noted.
     */
    private void queueOrLaunch(Shape shape, Stream stream) {
        Optional<Graph> known = graphs.get(shape);
        if (known == null) {
            if (graphs.size() == MOST_GRAPHS) {
                graphs.values().removeIf(Optional::isEmpty);
            }
            if (graphs.size() < MOST_GRAPHS) {
                graphs.put(shape, Optional.empty());
            }
            queue(shape);
            return;
        }
        if (known.isEmpty()) {
            try {
                known = Optional.of(device.graph(() -> queue(shape)));
                graphs.put(shape, known);
            } catch (OutOfDeviceMemoryException e) {
                // A graph takes some memory of the card; single launches take none.
                queue(shape);
                return;
            }
        }
        known.get().launch(stream);
    }

    private void queue(Shape shape) {
        Stream stream = device.stream();
        buffers.upload(stream);
        sweep.project(shape.states());
        sweep.answer(shape);
        buffers.download(stream);
    }

    @Override
    public void close() {
        try (buffers;
                sweep) {
            forgetGraphs();
        }
    }
}
