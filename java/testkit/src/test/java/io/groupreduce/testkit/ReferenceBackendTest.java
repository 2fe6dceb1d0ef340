package io.groupreduce.testkit;

import io.groupreduce.backend.Backend;
import io.groupreduce.reference.ReferenceBackend;

/** The contract holds for the oracle itself. */
class ReferenceBackendTest extends BackendContract {
    @Override
    protected Backend backend(int threads) {
        return new ReferenceBackend();
    }
}
