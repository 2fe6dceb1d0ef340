package io.groupreduce.testkit;

import io.groupreduce.backend.Backend;
import io.groupreduce.reference.ReferenceBackend;

/** The contract of directions and right factors holds for the oracle itself. */
class ReferenceRightTest extends RightContract {
    @Override
    protected Backend backend(int threads) {
        return new ReferenceBackend();
    }
}
