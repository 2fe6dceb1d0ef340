package io.groupreduce.testkit;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.spi.ComputeBackend;

/** The contract of rating holds for the oracle itself. */
class ReferenceRateTest extends RateContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new ReferenceBackend();
    }
}
