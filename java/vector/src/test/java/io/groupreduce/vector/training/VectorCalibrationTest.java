package io.groupreduce.vector.training;

import io.groupreduce.spi.Backend;
import io.groupreduce.testkit.CalibrationContract;
import io.groupreduce.vector.VectorBackend;

/** Calibration on the Vector API keeps the contract. */
class VectorCalibrationTest extends CalibrationContract {
    @Override
    protected Backend backend(int threads) {
        return new VectorBackend(threads);
    }
}
