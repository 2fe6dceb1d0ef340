package io.groupreduce.testkit;

import io.groupreduce.backend.Backend;
import io.groupreduce.reference.ReferenceBackend;

/** The contract holds for the oracle itself. */
class ReferenceInferenceTest extends InferenceContract {
    @Override
    protected Backend backend(int threads) {
        return new ReferenceBackend();
    }

    @Override
    protected boolean allocatesNothing() {
        return false;
    }
}
