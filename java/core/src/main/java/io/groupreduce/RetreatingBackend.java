package io.groupreduce;

import io.groupreduce.api.DeviceAnswers;
import io.groupreduce.error.DeviceException;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.DeviceStates;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.lang.foreign.MemorySegment;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.function.Supplier;

/**
 * A GPU that nobody asked for by name: where it fails, the processor goes on, and that is said once. What has no state is simply done
 * again, a query too; of a compression, which has, {@link #run} begins the whole step again. New work then goes to the processor; a session that
 * is open on the card stays there as long as it answers.
 */
final class RetreatingBackend implements ComputeBackend {
    private final ComputeBackend first;
    private final Supplier<ComputeBackend> next;
    private final Consumer<String> tell;
    private volatile ComputeBackend current;
    private boolean closed;

    /**
     * Takes over the backend.
     *
     * @param next starts what goes on; throws where there is nothing
     * @param tell hears in one sentence why it does
     */
    RetreatingBackend(ComputeBackend first, Supplier<ComputeBackend> next, Consumer<String> tell) {
        this.first = first;
        this.next = next;
        this.tell = tell;
        current = first;
    }

    /** Does the work on a backend, and from its beginning on the next one where there is one and the first fails. */
    static <T> T run(ComputeBackend backend, Function<ComputeBackend, T> work) {
        return backend instanceof RetreatingBackend ours ? ours.run(work) : work.apply(backend);
    }

    private <T> T run(Function<ComputeBackend, T> work) {
        ComputeBackend asked = current;
        try {
            return work.apply(asked);
        } catch (DeviceException e) {
            return work.apply(after(asked, e));
        }
    }

    /** What goes on after a failure; throws it where nothing can. */
    private synchronized ComputeBackend after(ComputeBackend failed, DeviceException why) {
        if (closed || failed != first) {
            throw why;
        }
        if (current == first) {
            try {
                current = next.get();
            } catch (DeviceException e) {
                why.addSuppressed(e);
                throw why;
            }
            tell.accept("Going on on the CPU: " + why.getMessage());
        }
        return current;
    }

    @Override
    public String name() {
        return current.name();
    }

    @Override
    public String description() {
        return current.description();
    }

    @Override
    public void forEach(int tasks, IntConsumer task) {
        current.forEach(tasks, task);
    }

    @Override
    public CompressionWorkspace open(CompressionProblem problem) {
        return run(backend -> backend.open(problem));
    }

    @Override
    public TokenScores compare(SoftmaxComparison task) {
        return run(backend -> backend.compare(task));
    }

    @Override
    public CalibrationSession calibrate(CalibrationProblem problem) {
        return run(backend -> backend.calibrate(problem));
    }

    @Override
    public InferenceSession load(InferenceProblem problem) {
        return run(backend -> backend == first ? new Session(problem) : backend.load(problem));
    }

    @Override
    public OptionalDouble memoryBandwidth() {
        return run(ComputeBackend::memoryBandwidth);
    }

    /** A card that failed may fail in closing too, which was said. */
    @Override
    public synchronized void close() {
        closed = true;
        if (current == first) {
            first.close();
        } else {
            closeFailed(first::close);
            current.close();
        }
    }

    private static void closeFailed(Runnable close) {
        try {
            close.run();
        } catch (DeviceException e) {
            System.getLogger("io.groupreduce").log(System.Logger.Level.DEBUG, "closing what failed", e);
        }
    }

    private final class Session implements InferenceSession {
        private final InferenceProblem problem;
        private final InferenceSession onCard;
        private volatile InferenceSession asked;
        private boolean closed;

        Session(InferenceProblem problem) {
            this.problem = problem;
            onCard = first.load(problem);
            asked = onCard;
        }

        private void ask(Consumer<InferenceSession> query) {
            InferenceSession session = asked;
            try {
                query.accept(session);
            } catch (DeviceException e) {
                query.accept(after(session, e));
            }
        }

        private synchronized InferenceSession after(InferenceSession failed, DeviceException why) {
            if (closed || failed != onCard) {
                throw why;
            }
            if (asked == onCard) {
                asked = RetreatingBackend.this.after(first, why).load(problem);
            }
            return asked;
        }

        @Override
        public void answer(float[] hidden, int states, Question[] questions, int count, Chosen chosen) {
            ask(session -> session.answer(hidden, states, questions, count, chosen));
        }

        @Override
        public void logits(float[] hidden, int states, MemorySegment target) {
            ask(session -> session.logits(hidden, states, target));
        }

        @Override
        public void rows(int[] tokens, int count, float[] target, int offset) {
            ask(session -> session.rows(tokens, count, target, offset));
        }

        // What lies on the card is lost with it.

        @Override
        public void fetch(DeviceStates hidden, float[] target) {
            asked.fetch(hidden, target);
        }

        @Override
        public void answer(
                DeviceStates hidden, float scale, double[] temperatures, long[] keys, DeviceAnswers answers) {
            asked.answer(hidden, scale, temperatures, keys, answers);
        }

        @Override
        public synchronized void close() {
            closed = true;
            if (asked == onCard) {
                onCard.close();
            } else {
                closeFailed(onCard::close);
                asked.close();
            }
        }
    }
}
