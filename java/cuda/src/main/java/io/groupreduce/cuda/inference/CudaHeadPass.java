package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Graph;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.cuda.inference.PassBuffers.Part;
import io.groupreduce.internal.select.KeyedLogit;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/**
 * One question at a time to a head: {@link #begin} makes room and tells how many states may come, {@link #put} brings them, {@link #ask}
 * waits for the answer, which may be read until the next of these. One copy to the card, some launches, one copy back.
 */
final class CudaHeadPass implements AutoCloseable {
    /** The most states of a pass: the largest kernel takes 64 at a time, and more would only take memory. */
    static final int MOST_STATES = 512;

    /** Small batches are launched as one graph, because the launches would take longer than the kernels. */
    private static final int MOST_GRAPH_STATES = 8;

    private static final int MOST_GRAPHS = 64;

    private final Device device;
    private final HeadLayout layout;
    private final CudaSweep sweep;
    private final PassBuffers buffers;
    /** The passes that were asked for already, and their graphs from the second time on. */
    private final Map<Shape, Optional<Graph>> graphs = new HashMap<>();

    private long budget;
    private Question question;
    private int states;
    private boolean projected;

    /**
     * What is asked about some hidden states in one pass.
     *
     * @param scanned whether all logits are gone through at all; otherwise only targets are scored
     * @param listed likeliest tokens wanted: 0 to {@link #MOST_LISTED}
     * @param target whether the logits of given tokens are wanted
     * @param everyLogit whether all logits are to be written to device memory
     * @param softmaxScale what logits are multiplied by before they are summed up: 1 for the log-sum-exp
     * @param noiseScale what logits are multiplied by before noise is added; 0 where nothing is drawn
     * @param shifted whether a number per state is taken off before
     * @param floored whether logits below a number per state are not drawn
     */
    record Question(
            boolean scanned,
            int listed,
            boolean target,
            boolean everyLogit,
            float softmaxScale,
            double noiseScale,
            boolean shifted,
            boolean floored) {
        /** The longest list that kernels select: GR_MOST_SELECTED. */
        static final int MOST_LISTED = 1024;

        /** The k likeliest tokens and the log-sum-exp of logits times {@code scale}. */
        static Question top(int k, float scale) {
            return new Question(true, k, false, false, scale, 0, false, false);
        }

        /** The logits of given tokens, and the log-sum-exp when it is wanted. */
        static Question score(boolean summed) {
            return new Question(summed, 0, true, false, 1, 0, false, false);
        }

        /** All logits. */
        static Question logits() {
            return new Question(true, 0, false, true, 1, 0, false, false);
        }

        /** A draw; {@code scale} is 1 / temperature. */
        static Question draw(double scale, boolean shifted, boolean floored) {
            return new Question(true, 0, false, false, 1, scale, shifted, floored);
        }

        boolean drawn() {
            return noiseScale != 0;
        }
    }

    /** What makes two passes the same sequence of launches. */
    private record Shape(Question question, int states) {}

    /**
     * Prepares queries; takes no memory yet.
     *
     * @param budget bytes of work memory, which a single state may exceed
     */
    CudaHeadPass(Device device, CudaPackedHead head, long budget) {
        this.device = device;
        this.layout = head.layout();
        this.budget = budget;
        buffers = new PassBuffers(device, layout);
        sweep = new CudaSweep(device, head, buffers);
    }

    /**
     * Takes up states of a batch, as many as go into memory together.
     *
     * @param end the first state that is not to be taken
     * @return how many were taken
     */
    int take(Question asked, float[] hidden, int first, int end) {
        int count = begin(asked, end - first);
        for (int s = 0; s < count; s++) {
            put(s, hidden, (first + s) * layout.columns());
        }
        return count;
    }

    /**
     * Makes room for as many states as go into memory together.
     *
     * @param wanted states, at least 1
     * @return 1 to {@code wanted}
     */
    int begin(Question asked, int wanted) {
        long each = PassBuffers.bytesOfState(layout, asked);
        int count = Math.clamp(budget / each, 1, Math.min(wanted, MOST_STATES));
        while (true) {
            try {
                reserve(asked, count);
                return count;
            } catch (OutOfDeviceMemoryException e) {
                forgetGraphs();
                buffers.close();
                if (count == 1) {
                    throw e;
                }
                count = (count + 1) / 2;
                budget = count * each;
            }
        }
    }

    private void reserve(Question asked, int count) {
        states = count;
        question = asked;
        projected = false;
        if (buffers.reserve(asked, count)) {
            forgetGraphs();
        }
    }

    private void forgetGraphs() {
        graphs.values().forEach(graph -> graph.ifPresent(Graph::close));
        graphs.clear();
    }

    /** Brings the state that starts at {@code hidden[from]} as number {@code place}. */
    void put(int place, float[] hidden, int from) {
        int columns = layout.columns();
        MemorySegment.copy(
                hidden, from, buffers.input(), ValueLayout.JAVA_FLOAT, (long) Float.BYTES * place * columns, columns);
    }

    /** The key of a state's noise. */
    void putNoise(int place, long key) {
        buffers.input().set(ValueLayout.JAVA_LONG, buffers.at(Part.NOISE) + (long) Long.BYTES * place, key);
    }

    /** What is taken off a state's logits before they are scaled to be drawn. */
    void putShift(int place, float shift) {
        buffers.input().set(ValueLayout.JAVA_FLOAT, buffers.at(Part.SHIFT) + (long) Float.BYTES * place, shift);
    }

    /** The least logit of a state that may be drawn. */
    void putFloor(int place, float floor) {
        buffers.input().set(ValueLayout.JAVA_FLOAT, buffers.at(Part.FLOOR) + (long) Float.BYTES * place, floor);
    }

    /** The token whose logit is wanted of a state. */
    void putTarget(int place, int token) {
        buffers.input().set(ValueLayout.JAVA_INT, buffers.at(Part.TARGET) + (long) Integer.BYTES * place, token);
    }

    /**
     * Answers a question about the states that were brought.
     *
     * @param asked what was begun, or another question of the same list that takes no more memory
     */
    void ask(Question asked) {
        question = asked;
        Stream stream = device.stream();
        if (states > MOST_GRAPH_STATES || projected || asked.drawn()) {
            queue();
        } else {
            queueOrLaunch(stream);
        }
        stream.synchronize();
        projected = true;
    }

    /**
     * Queues a small pass, from its second time on as a graph: a question that is asked once is not worth noting, and the first launch of
     * a kernel may load it onto the card, which must not happen while launches are noted.
     */
    private void queueOrLaunch(Stream stream) {
        Shape shape = new Shape(question, states);
        Optional<Graph> known = graphs.get(shape);
        if (known == null) {
            if (graphs.size() == MOST_GRAPHS) {
                graphs.values().removeIf(Optional::isEmpty);
            }
            if (graphs.size() < MOST_GRAPHS) {
                graphs.put(shape, Optional.empty());
            }
            queue();
            return;
        }
        if (known.isEmpty()) {
            try {
                known = Optional.of(device.graph(this::queue));
                graphs.put(shape, known);
            } catch (OutOfDeviceMemoryException e) {
                // A graph takes some memory of the card; single launches take none.
                queue();
                return;
            }
        }
        known.get().launch(stream);
    }

    private void queue() {
        Stream stream = device.stream();
        buffers.upload(stream, projected ? Part.NOISE : Part.HIDDEN);
        if (!projected) {
            sweep.project(states);
        }
        sweep.answer(question, states);
        buffers.download(stream);
    }

    /** Whether numbers of a state were beyond binary32, so that it has no answer. Only of a question that goes through all logits. */
    boolean broken(int state) {
        return buffers.result().get(ValueLayout.JAVA_INT, buffers.at(Part.BROKEN) + (long) Integer.BYTES * state) != 0;
    }

    /** The log-sum-exp of the scaled logits of a state; NaN for a broken one. */
    double logSumExp(int state) {
        return broken(state) ? Double.NaN : buffers.result().getAtIndex(ValueLayout.JAVA_DOUBLE, state);
    }

    /** The token of largest logit. */
    int bestToken(int state) {
        return KeyedLogit.token(best(state));
    }

    /** The largest logit. */
    float bestLogit(int state) {
        return KeyedLogit.logit(best(state));
    }

    private long best(int state) {
        return buffers.result().get(ValueLayout.JAVA_LONG, buffers.at(Part.BEST) + (long) Long.BYTES * state);
    }

    /** The token that was drawn, -1 for a broken state. */
    int drawn(int state) {
        return buffers.result().get(ValueLayout.JAVA_INT, buffers.at(Part.DRAWN) + (long) Integer.BYTES * state);
    }

    /** The logit of a state's target. */
    float score(int state) {
        return buffers.result().get(ValueLayout.JAVA_FLOAT, buffers.at(Part.SCORE) + (long) Float.BYTES * state);
    }

    /** Copies the list of a state, of the question's length, which is 1 at least. */
    void list(int state, int[] tokens, float[] logits, int at) {
        int k = question.listed();
        if (k == 1) {
            tokens[at] = bestToken(state);
            logits[at] = bestLogit(state);
        } else {
            long from = (long) state * k * Integer.BYTES;
            MemorySegment.copy(buffers.result(), ValueLayout.JAVA_INT, buffers.at(Part.TOKENS) + from, tokens, at, k);
            MemorySegment.copy(buffers.result(), ValueLayout.JAVA_FLOAT, buffers.at(Part.LOGITS) + from, logits, at, k);
        }
    }

    /** Copies all logits of some states, in the order of tokens, to the host. */
    void everyLogit(int firstState, MemorySegment target) {
        long from = (long) Float.BYTES * firstState * layout.rows();
        device.download(buffers.memory(Part.EVERY_LOGIT), from, target);
    }

    @Override
    public void close() {
        try (buffers;
                sweep) {
            forgetGraphs();
        }
    }
}
