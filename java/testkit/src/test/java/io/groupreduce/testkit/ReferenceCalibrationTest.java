package io.groupreduce.testkit;

import io.groupreduce.backend.Backend;
import io.groupreduce.reference.ReferenceBackend;

/** The oracle itself keeps the contract; its gradients are checked by finite differences there. */
class ReferenceCalibrationTest extends CalibrationContract {
    @Override
    protected Backend backend(int threads) {
        return new ReferenceBackend();
    }
}
