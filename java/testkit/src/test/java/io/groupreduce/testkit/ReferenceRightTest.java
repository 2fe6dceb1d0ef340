package io.groupreduce.testkit;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.spi.ComputeBackend;

/** The contract of directions and right factors holds for the oracle itself. */
class ReferenceRightTest extends RightContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new ReferenceBackend();
    }
}
