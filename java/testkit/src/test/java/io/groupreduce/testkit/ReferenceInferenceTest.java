package io.groupreduce.testkit;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.spi.ComputeBackend;

/** The contract holds for the oracle itself. */
class ReferenceInferenceTest extends InferenceContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new ReferenceBackend();
    }

    @Override
    protected long mostAllocated(int threads) {
        return Long.MAX_VALUE;
    }

    @Override
    protected boolean prunes() {
        return false;
    }

    @Override
    protected boolean slow() {
        return true;
    }
}
