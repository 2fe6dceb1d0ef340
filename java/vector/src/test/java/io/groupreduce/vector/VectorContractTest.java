package io.groupreduce.vector;

import io.groupreduce.spi.Backend;
import io.groupreduce.testkit.BackendContract;

/** The Vector API backend keeps the contract of every backend. */
class VectorContractTest extends BackendContract {
    @Override
    protected Backend backend(int threads) {
        return new VectorBackend(threads);
    }
}
