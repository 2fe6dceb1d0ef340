package io.groupreduce.vector;

import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.InferenceContract;

/** The Vector API backend keeps the contract of every backend that answers queries. */
class VectorInferenceTest extends InferenceContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new VectorBackend(threads);
    }

    /** None on the calling thread; with workers, the task that is handed to them. */
    @Override
    protected long mostAllocated(int threads) {
        return threads == 1 ? 0 : 100;
    }
}
