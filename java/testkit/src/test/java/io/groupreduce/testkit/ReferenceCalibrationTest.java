package io.groupreduce.testkit;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.spi.ComputeBackend;

/** The oracle itself keeps the contract; its gradients are checked by finite differences there. */
class ReferenceCalibrationTest extends CalibrationContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new ReferenceBackend();
    }
}
