package io.groupreduce.api;

import io.groupreduce.error.InvalidOptionException;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * How a {@link io.groupreduce.SoftmaxHead} or an {@link io.groupreduce.EmbeddingTable} is opened. Immutable; start from {@link
 * #defaults()} and replace what differs.
 *
 * @param tensor the compressed matrix; empty for the file's output or embedding matrix, known by its name
 * @param device {@code auto}, {@code cpu}, {@code cuda}, {@code cuda:I} or {@code reference}; without meaning where a backend is
 *     given
 * @param threads which threads of the processor answer; without meaning where a backend is given
 * @param bias what is added to the logits, length N, instead of the file's own bias; callers must not write to it
 * @param logitScale what multiplies the logits before the bias is added, instead of the factor that the file gives: the caller answers
 *     for what else the model does to its logits
 * @param pruning whether a head leaves out work that cannot change its answer
 * @param logSumExpTolerance the most that leaving work out may change a log-sum-exp, in nats; 0 for nothing
 */
public record HeadOptions(
        Optional<String> tensor,
        String device,
        Threads threads,
        Optional<float[]> bias,
        OptionalDouble logitScale,
        Pruning pruning,
        double logSumExpTolerance) {
    /**
     * Checks the numbers.
     *
     * @throws InvalidOptionException if one is out of its range
     */
    public HeadOptions {
        Objects.requireNonNull(tensor, "tensor");
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(threads, "threads");
        Objects.requireNonNull(bias, "bias");
        double scale = logitScale.orElse(1);
        if (!(scale > 0 && scale <= Float.MAX_VALUE)) {
            throw new InvalidOptionException(
                    "The factor of the logits is " + scale + "; give a finite number above 0.");
        }
        Objects.requireNonNull(pruning, "pruning");
        if (!(logSumExpTolerance >= 0) || Double.isInfinite(logSumExpTolerance)) {
            throw new InvalidOptionException("The tolerance of the log-sum-exp is " + logSumExpTolerance
                    + "; give a finite number of nats, 0 for an exact one.");
        }
    }

    /** The file's own matrix and bias on the best device with all processors, nothing left out that could change an answer. */
    public static HeadOptions defaults() {
        return new HeadOptions(
                Optional.empty(),
                "auto",
                Threads.own(Runtime.getRuntime().availableProcessors()),
                Optional.empty(),
                OptionalDouble.empty(),
                Pruning.AUTO,
                0);
    }

    /** The same for the compressed matrix of this name; a tied name finds the one that stands for it. */
    public HeadOptions withTensor(String name) {
        return new HeadOptions(Optional.of(name), device, threads, bias, logitScale, pruning, logSumExpTolerance);
    }

    /** The same on this device: {@code auto}, {@code cpu}, {@code cuda}, {@code cuda:I} or {@code reference}. */
    public HeadOptions withDevice(String name) {
        return new HeadOptions(tensor, name, threads, bias, logitScale, pruning, logSumExpTolerance);
    }

    /** The same with this many threads of its own. */
    public HeadOptions withThreads(int count) {
        return withThreads(Threads.own(count));
    }

    /** The same on these threads. */
    public HeadOptions withThreads(Threads setting) {
        return new HeadOptions(tensor, device, setting, bias, logitScale, pruning, logSumExpTolerance);
    }

    /** The same with this bias, which is copied; {@code null} for the file's own. */
    public HeadOptions withBias(float[] values) {
        return new HeadOptions(
                tensor,
                device,
                threads,
                Optional.ofNullable(values).map(float[]::clone),
                logitScale,
                pruning,
                logSumExpTolerance);
    }

    /** The same with this factor of the logits, finite and above 0. */
    public HeadOptions withLogitScale(double factor) {
        return new HeadOptions(tensor, device, threads, bias, OptionalDouble.of(factor), pruning, logSumExpTolerance);
    }

    /** The same with this pruning. */
    public HeadOptions withPruning(Pruning setting) {
        return new HeadOptions(tensor, device, threads, bias, logitScale, setting, logSumExpTolerance);
    }

    /** The same with this tolerance of the log-sum-exp, in nats. */
    public HeadOptions withLogSumExpTolerance(double nats) {
        return new HeadOptions(tensor, device, threads, bias, logitScale, pruning, nats);
    }
}
