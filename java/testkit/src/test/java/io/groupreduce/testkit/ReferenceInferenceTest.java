package io.groupreduce.testkit;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.spi.Backend;

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

    @Override
    protected boolean prunes() {
        return false;
    }
}
