package io.groupreduce.testkit;

import io.groupreduce.backend.Backend;
import io.groupreduce.reference.ReferenceBackend;

/** The contract of rating holds for the oracle itself. */
class ReferenceRateTest extends RateContract {
    @Override
    protected Backend backend(int threads) {
        return new ReferenceBackend();
    }
}
