package io.groupreduce.vector;

import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.BackendContract;

/** The Vector API backend keeps the contract of every backend. */
class VectorContractTest extends BackendContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new VectorBackend(threads);
    }
}
