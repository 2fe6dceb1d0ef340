package io.groupreduce.cuda.inference;

import io.groupreduce.api.DeviceAnswers;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Event;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.cuda.driver.WorkMemory;
import io.groupreduce.cuda.inference.PassBuffers.Part;
import io.groupreduce.cuda.inference.PassBuffers.Shape;
import io.groupreduce.spi.DeviceStates;
import java.lang.foreign.MemorySegment;

/**
 * Queries from a caller's device memory: {@link #fetch} takes the states to the host, {@link #answer} leaves the answers on the card. The
 * caller's stream and ours wait for each other by events, the host for nothing.
 */
final class DevicePass implements AutoCloseable {
    private static final int THREADS = 256;
    private static final int DELIVER_THREADS = 128;

    /** Questions of a launch: GR_MOST_ASKED. */
    private static final int MOST_ASKED = 64;

    private static final int PARAMETER_BYTES = 32 + 16 * MOST_ASKED;

    private final Device device;
    private final HeadLayout layout;
    private final CudaHeadPass pass;
    private final Stream stream;
    private final WorkMemory fetched;
    private final Kernel states;
    private final Kernel ask;
    private final Kernel deliver;
    private final Parameters parameters = new Parameters(PARAMETER_BYTES);
    private final Event theirs;
    private final Event ours;

    /** Finds the kernels; on the device's thread. */
    DevicePass(Device device, CudaHeadPass pass) {
        this.device = device;
        this.pass = pass;
        layout = pass.layout();
        stream = device.stream();
        fetched = new WorkMemory(device, "fetched hidden states");
        states = device.kernel("gr_states");
        ask = device.kernel("gr_ask");
        deliver = device.kernel("gr_deliver");
        theirs = device.event();
        try {
            ours = device.event();
        } catch (Throwable e) {
            theirs.close();
            throw e;
        }
    }

    /** See {@link io.groupreduce.spi.InferenceSession#fetch}. */
    void fetch(DeviceStates hidden, float[] target) {
        require(hidden);
        awaitCaller(hidden);
        MemorySegment all = MemorySegment.ofArray(target);
        long row = (long) Float.BYTES * layout.columns;
        for (int first = 0; first < hidden.states(); first += Round.MOST) {
            int count = Math.min(Round.MOST, hidden.states() - first);
            long to = fetched.atLeast(count * row);
            widen(hidden, first, count, 1, to);
            device.download(fetched.memory(), 0, all.asSlice(first * row, count * row));
        }
    }

    /** See {@link io.groupreduce.spi.InferenceSession#answer(DeviceStates, float, double[], long[], DeviceAnswers)}. */
    void answer(DeviceStates hidden, float scale, double[] temperatures, long[] keys, DeviceAnswers answers) {
        require(hidden);
        require(answers, hidden.states());
        boolean drawn = false;
        for (double temperature : temperatures) {
            drawn |= temperature > 0;
        }
        awaitCaller(hidden);
        int listed = answers.top() > 1 ? answers.top() : 0;
        int count;
        for (int first = 0; first < hidden.states(); first += count) {
            Shape shape = pass.reserve(Math.min(Round.MOST, hidden.states() - first), listed, drawn);
            count = shape.states();
            PassBuffers buffers = pass.buffers();
            widen(hidden, first, count, scale, buffers.address(Part.HIDDEN));
            for (int at = 0; at < count; at += MOST_ASKED) {
                ask(at, Math.min(MOST_ASKED, count - at), answers.top(), first, temperatures, keys);
            }
            pass.sweep().project(count);
            pass.sweep().answer(shape);
            deliver(first, count, answers);
        }
        stream.record(ours);
        device.foreign(hidden.stream()).await(ours);
    }

    private void awaitCaller(DeviceStates hidden) {
        device.foreign(hidden.stream()).record(theirs);
        stream.await(theirs);
    }

    private void require(DeviceStates hidden) {
        long numbers = (hidden.states() - 1) * hidden.stride() + layout.columns;
        device.requireMemory(hidden.address(), numbers * hidden.type().bytes(), "the hidden states");
    }

    private void require(DeviceAnswers answers, long count) {
        device.requireMemory(answers.tokens(), count * Integer.BYTES, "the tokens");
        device.requireMemory(answers.logits(), count * Float.BYTES, "the logits");
        device.requireMemory(answers.logSumExp(), count * Double.BYTES, "the log-sum-exps");
        device.requireMemory(answers.topTokens(), count * answers.top() * Integer.BYTES, "the tokens of lists");
        device.requireMemory(answers.topLogits(), count * answers.top() * Float.BYTES, "the logits of lists");
    }

    private void widen(DeviceStates hidden, int first, int count, float scale, long to) {
        long from = hidden.address() + first * hidden.stride() * hidden.type().bytes();
        int type =
                switch (hidden.type()) {
                    case F32 -> 0;
                    case F16 -> 1;
                    default -> 2;
                };
        parameters
                .reset()
                .address(from)
                .address(to)
                .i64(hidden.stride())
                .i32(type)
                .i32(layout.columns)
                .f32(scale);
        states.launch(stream, Math.ceilDiv(layout.columns, THREADS), count, THREADS, 0, parameters);
    }

    private void ask(int at, int count, int listed, int first, double[] temperatures, long[] keys) {
        parameters.reset().address(pass.buffers().address(Part.QUESTIONS)).i32(at, count, listed);
        for (int i = 0; i < MOST_ASKED; i++) {
            parameters.i64(i < count ? keys[first + at + i] : 0);
        }
        for (int i = 0; i < MOST_ASKED; i++) {
            parameters.f64(i < count ? temperatures[first + at + i] : 0);
        }
        ask.launch(stream, 1, 1, MOST_ASKED, 0, parameters);
    }

    private void deliver(long first, int count, DeviceAnswers answers) {
        PassBuffers buffers = pass.buffers();
        parameters
                .reset()
                .address(buffers.address(Part.QUESTIONS))
                .address(buffers.address(Part.ANSWERS))
                .address(buffers.address(Part.TOKENS))
                .address(buffers.address(Part.LOGITS))
                .address(from(answers.tokens(), first * Integer.BYTES))
                .address(from(answers.logits(), first * Float.BYTES))
                .address(from(answers.logSumExp(), first * Double.BYTES))
                .address(from(answers.topTokens(), first * answers.top() * Integer.BYTES))
                .address(from(answers.topLogits(), first * answers.top() * Float.BYTES))
                .i32(answers.top());
        deliver.launch(stream, count, 1, DELIVER_THREADS, 0, parameters);
    }

    private static long from(long address, long bytes) {
        return address == 0 ? 0 : address + bytes;
    }

    @Override
    public void close() {
        try (theirs;
                ours) {
            fetched.close();
        }
    }
}
