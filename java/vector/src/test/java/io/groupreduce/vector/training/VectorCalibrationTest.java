package io.groupreduce.vector.training;

import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.CalibrationContract;
import io.groupreduce.vector.VectorBackend;

/** Calibration on the Vector API keeps the contract. */
class VectorCalibrationTest extends CalibrationContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new VectorBackend(threads);
    }
}
