package io.groupreduce.api;

import io.groupreduce.error.InvalidOptionException;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Consumer;

/**
 * How a {@link io.groupreduce.SoftmaxHead} or an {@link io.groupreduce.EmbeddingTable} is opened. Immutable; start from {@link
 * #defaults()} and replace what differs. What is out of its range is refused where it is set.
 */
public final class HeadOptions {
    /** An option is a field here, a method that sets it, and one that tells it. Not written to once it is in its final field. */
    private static final class Values implements Cloneable {
        private String tensor;
        private Device device = Device.AUTO;
        private boolean accelerated;
        private Threads threads = Threads.own(Runtime.getRuntime().availableProcessors());
        private float[] bias;
        private OptionalDouble logitScale = OptionalDouble.empty();
        private OptionalInt vocabulary = OptionalInt.empty();
        private int partFirst;
        private OptionalInt partEnd = OptionalInt.empty();
        private Pruning pruning = Pruning.AUTO;
        private double logSumExpTolerance;

        @Override
        public Values clone() {
            try {
                return (Values) super.clone();
            } catch (CloneNotSupportedException e) {
                throw new AssertionError(e);
            }
        }
    }

    private final Values values;

    private HeadOptions(Values values) {
        this.values = values;
    }

    private HeadOptions with(Consumer<Values> change) {
        Values changed = values.clone();
        change.accept(changed);
        return new HeadOptions(changed);
    }

    /** The file's own matrix and bias on the best device with all processors, nothing left out that could change an answer. */
    public static HeadOptions defaults() {
        return new HeadOptions(new Values());
    }

    /** The same for the compressed matrix of this name; a tied name finds the one that stands for it. */
    public HeadOptions withTensor(String name) {
        Objects.requireNonNull(name, "name");
        return with(v -> v.tensor = name);
    }

    /** The compressed matrix; empty for the file's output or embedding matrix, known by its name. */
    public Optional<String> tensor() {
        return Optional.ofNullable(values.tensor);
    }

    /** The same on this device. Without meaning where a backend is given. */
    public HeadOptions withDevice(Device device) {
        Objects.requireNonNull(device, "device");
        return with(v -> v.device = device);
    }

    /** Where to run. */
    public Device device() {
        return values.device;
    }

    /**
     * The same, but opening fails with {@link io.groupreduce.error.DeviceException} where only the slow reference backend can run; otherwise
     * that is a warning in the log. Without meaning where a backend is given.
     */
    public HeadOptions requireAccelerated() {
        return with(v -> v.accelerated = true);
    }

    /** Whether the reference backend is an error. */
    public boolean accelerated() {
        return values.accelerated;
    }

    /**
     * The same with this many threads of its own. Without meaning where a backend is given.
     *
     * @throws InvalidOptionException if there is none
     */
    public HeadOptions withThreads(int count) {
        return withThreads(Threads.own(count));
    }

    /** The same on these threads. Without meaning where a backend is given. */
    public HeadOptions withThreads(Threads setting) {
        Objects.requireNonNull(setting, "setting");
        return with(v -> v.threads = setting);
    }

    /** Which threads of the processor may be used. */
    public Threads threads() {
        return values.threads;
    }

    /** The same with this bias, length N, which is copied, added to the logits; {@code null} for the file's own. */
    public HeadOptions withBias(float[] bias) {
        float[] copy = bias == null ? null : bias.clone();
        return with(v -> v.bias = copy);
    }

    /** What is added to the logits instead of the file's own bias; callers must not write to it. */
    public Optional<float[]> bias() {
        return Optional.ofNullable(values.bias);
    }

    /**
     * The same with this factor of the logits before the bias is added, instead of the one that the file gives: the caller answers for what
     * else the model does to its logits.
     *
     * @throws InvalidOptionException if it is not finite and above 0
     */
    public HeadOptions withLogitScale(double factor) {
        if (!(factor > 0 && factor <= Float.MAX_VALUE)) {
            throw new InvalidOptionException(
                    "The factor of the logits is " + factor + "; give a finite number above 0.");
        }
        return with(v -> v.logitScale = OptionalDouble.of(factor));
    }

    /** The factor of the logits, if it is not the file's. */
    public OptionalDouble logitScale() {
        return values.logitScale;
    }

    /**
     * The same for the first so many tokens only, where rows beyond them pad the matrix: they are no tokens, in no sum and never drawn.
     *
     * @throws InvalidOptionException if there are none
     */
    public HeadOptions withVocabulary(int tokens) {
        if (tokens < 1) {
            throw new InvalidOptionException("The vocabulary has " + tokens + " tokens; give at least 1.");
        }
        return with(v -> v.vocabulary = OptionalInt.of(tokens));
    }

    /** How many tokens there are; empty for all rows. */
    public OptionalInt vocabulary() {
        return values.vocabulary;
    }

    /**
     * The same for a part of the vocabulary, tokens {@code first} to {@code end - 1}: tokens keep their numbers, and {@link
     * io.groupreduce.Answers#merge} makes the whole's answers of those of all parts.
     *
     * @throws InvalidOptionException if there are no such tokens
     */
    public HeadOptions withPart(int first, int end) {
        if (first < 0 || end <= first) {
            throw new InvalidOptionException("A part of the vocabulary cannot go from token " + first + " up to " + end
                    + "; give the first and one more than the last.");
        }
        return with(v -> {
            v.partFirst = first;
            v.partEnd = OptionalInt.of(end);
        });
    }

    /** The first token of a part; 0 for the whole. */
    public int partFirst() {
        return values.partFirst;
    }

    /** One more than the last token of a part; empty for the whole. */
    public OptionalInt partEnd() {
        return values.partEnd;
    }

    /** The same with this pruning: whether a head leaves out work that cannot change its answer. */
    public HeadOptions withPruning(Pruning setting) {
        Objects.requireNonNull(setting, "setting");
        return with(v -> v.pruning = setting);
    }

    /** Whether a head leaves out work that cannot change its answer. */
    public Pruning pruning() {
        return values.pruning;
    }

    /**
     * The same with the most that leaving work out may change a log-sum-exp, in nats; 0 for nothing.
     *
     * @throws InvalidOptionException if it is negative or not finite
     */
    public HeadOptions withLogSumExpTolerance(double nats) {
        if (!(nats >= 0) || Double.isInfinite(nats)) {
            throw new InvalidOptionException("The tolerance of the log-sum-exp is " + nats
                    + "; give a finite number of nats, 0 for an exact one.");
        }
        return with(v -> v.logSumExpTolerance = nats);
    }

    /** The most that leaving work out may change a log-sum-exp, in nats. */
    public double logSumExpTolerance() {
        return values.logSumExpTolerance;
    }
}
