package io.groupreduce.spi;

import io.groupreduce.api.Backend;
import io.groupreduce.error.InvalidOptionException;
import java.util.OptionalDouble;
import java.util.function.IntConsumer;

/**
 * One device that can compress, compare and answer queries. A backend validates nothing: the public API did, once. Every method is a whole
 * step over all groups, so that a device with memory of its own keeps the data there between steps.
 *
 * <p>Results depend on the input alone: the same input gives the same bits whatever the number of threads.
 */
public interface ComputeBackend extends Backend {
    /**
     * What a caller's backend is behind its public face.
     *
     * @throws InvalidOptionException if it is none of ours
     */
    static ComputeBackend of(Backend backend) {
        if (backend instanceof ComputeBackend ours) {
            return ours;
        }
        throw new InvalidOptionException(
                "The backend '" + backend.name() + "' cannot compute; take one from BackendSelection.select.");
    }

    /**
     * Runs tasks 0 to tasks - 1 on the processor's threads that this backend was given, and returns when all are done: for the small
     * algebra between steps. A task may depend on its number only. A backend that has one thread need not say more.
     */
    default void forEach(int tasks, IntConsumer task) {
        for (int t = 0; t < tasks; t++) {
            task.accept(t);
        }
    }

    /** Takes up a matrix to compress. The caller closes the workspace before the matrix's memory goes away. */
    CompressionWorkspace open(CompressionProblem problem);

    /** Runs the dense and the compressed softmax side by side over all hidden states, streaming over the vocabulary. */
    TokenScores compare(SoftmaxComparison task);

    /** Takes up a compressed softmax to train. The caller closes the session before the memory of its input goes away. */
    CalibrationSession calibrate(CalibrationProblem problem);

    /**
     * Loads a compressed matrix for queries. The caller closes the session before the backend and before the memory of its
     * matrix goes away.
     */
    InferenceSession load(InferenceProblem problem);

    /**
     * How fast the device's own memory is, measured now: bytes read and written by a copy inside it, in bytes a second. Empty where queries
     * are answered from the machine's memory.
     */
    default OptionalDouble memoryBandwidth() {
        return OptionalDouble.empty();
    }
}
