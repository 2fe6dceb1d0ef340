package io.groupreduce.vector;

import io.groupreduce.backend.Backend;
import io.groupreduce.testkit.CalibrationContract;

/** Calibration on the Vector API keeps the contract. */
class VectorCalibrationTest extends CalibrationContract {
    @Override
    protected Backend backend(int threads) {
        return new VectorBackend(threads);
    }
}
