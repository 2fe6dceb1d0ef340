package io.groupreduce.testkit;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.spi.ComputeBackend;

/** The contract holds for the oracle itself. */
class ReferenceBackendTest extends BackendContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new ReferenceBackend();
    }
}
