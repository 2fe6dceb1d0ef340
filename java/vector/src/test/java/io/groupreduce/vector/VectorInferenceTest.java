package io.groupreduce.vector;

import io.groupreduce.spi.Backend;
import io.groupreduce.testkit.InferenceContract;

/** The Vector API backend keeps the contract of every backend that answers queries. */
class VectorInferenceTest extends InferenceContract {
    @Override
    protected Backend backend(int threads) {
        return new VectorBackend(threads);
    }
}
