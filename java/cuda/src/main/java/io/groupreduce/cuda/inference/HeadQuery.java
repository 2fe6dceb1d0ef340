package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Graph;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Stream;
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
final class HeadQuery implements AutoCloseable {
    /** The most states of a pass: the largest kernel takes 64 at a time, and more would only take memory. */
    static final int MOST_STATES = 512;

    /** Small batches are launched as one graph, because the launches would take longer than the kernels. */
    private static final int MOST_GRAPH_STATES = 8;

    private static final int MOST_GRAPHS = 64;

    private final Device device;
    private final HeadLayout layout;
    private final HeadPass pass;
    private final PassBuffers buffers;
    /** The passes that were asked for already, and their graphs from the second time on. */
    private final Map<Shape, Optional<Graph>> graphs = new HashMap<>();

    private long budget;
    private Question question;
    private int states;
    private boolean projected;

    /** What makes two passes the same sequence of launches. */
    private record Shape(Question question, int states) {}

    /**
     * Prepares queries; takes no memory yet.
     *
     * @param budget bytes of work memory, which a single state may exceed
     */
    HeadQuery(Device device, DeviceHead head, long budget) {
        this.device = device;
        this.layout = head.layout();
        this.budget = budget;
        buffers = new PassBuffers(device, layout);
        pass = new HeadPass(device, head, buffers);
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
        boolean anew = buffers.reserveInput(count);
        states = count;
        question = asked;
        projected = false;
        if (buffers.reserve(asked) | anew) {
            forgetGraphs();
        }
    }

    private void forgetGraphs() {
        graphs.values().forEach(graph -> graph.ifPresent(Graph::close));
        graphs.clear();
    }

    /** Brings the state that starts at {@code hidden[from]} as number {@code place}. */
    void put(int place, float[] hidden, int from) {
        buffers.putHidden(place, hidden, from);
    }

    /** The key of a state's noise. */
    void putNoise(int place, long key) {
        buffers.input().host().set(ValueLayout.JAVA_LONG, buffers.noiseAt() + (long) Long.BYTES * place, key);
    }

    /** What is taken off a state's logits before they are scaled to be drawn. */
    void putShift(int place, float shift) {
        buffers.input().host().set(ValueLayout.JAVA_FLOAT, buffers.shiftAt() + (long) Float.BYTES * place, shift);
    }

    /** The least logit of a state that may be drawn. */
    void putFloor(int place, float floor) {
        buffers.input().host().set(ValueLayout.JAVA_FLOAT, buffers.floorAt() + (long) Float.BYTES * place, floor);
    }

    /** The token whose logit is wanted of a state. */
    void putTarget(int place, int token) {
        buffers.input().host().set(ValueLayout.JAVA_INT, buffers.targetAt() + (long) Integer.BYTES * place, token);
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
        buffers.input().upload(stream, projected ? buffers.noiseAt() : 0, buffers.inputEnd());
        if (!projected) {
            pass.project(states);
        }
        pass.answer(question, states);
        buffers.result().download(stream, buffers.resultBytes());
    }

    /** Whether numbers of a state were beyond binary32, so that it has no answer. Only of a question that goes through all logits. */
    boolean broken(int state) {
        return answer().get(ValueLayout.JAVA_INT, buffers.brokenAt() + (long) Integer.BYTES * state) != 0;
    }

    /** The log-sum-exp of the scaled logits of a state; NaN for a broken one. */
    double logSumExp(int state) {
        return broken(state) ? Double.NaN : answer().getAtIndex(ValueLayout.JAVA_DOUBLE, state);
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
        return answer().get(ValueLayout.JAVA_LONG, buffers.bestAt() + (long) Long.BYTES * state);
    }

    /** The token that was drawn, -1 for a broken state. */
    int drawn(int state) {
        return answer().get(ValueLayout.JAVA_INT, buffers.drawnAt() + (long) Integer.BYTES * state);
    }

    /** The logit of a state's target. */
    float score(int state) {
        return answer().get(ValueLayout.JAVA_FLOAT, buffers.scoreAt() + (long) Float.BYTES * state);
    }

    /** Copies the list of a state, of the question's length, which is 1 at least. */
    void list(int state, int[] tokens, float[] logits, int at) {
        int k = question.listed();
        if (k == 1) {
            tokens[at] = bestToken(state);
            logits[at] = bestLogit(state);
        } else {
            long from = (long) state * k * Integer.BYTES;
            MemorySegment.copy(answer(), ValueLayout.JAVA_INT, buffers.tokensAt() + from, tokens, at, k);
            MemorySegment.copy(answer(), ValueLayout.JAVA_FLOAT, buffers.logitsAt() + from, logits, at, k);
        }
    }

    /** Copies all logits of some states, in the order of tokens, to the host. */
    void everyLogit(int firstState, MemorySegment target) {
        long from = (long) Float.BYTES * firstState * layout.rows();
        device.download(buffers.logits().memory(), from, target);
    }

    private MemorySegment answer() {
        return buffers.result().host();
    }

    @Override
    public void close() {
        forgetGraphs();
        pass.close();
        buffers.close();
    }
}
