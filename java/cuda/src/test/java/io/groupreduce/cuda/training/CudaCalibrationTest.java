package io.groupreduce.cuda.training;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.CalibrationContract;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;

/** Calibration on the card keeps the contract of every backend. */
@Tag("gpu")
class CudaCalibrationTest extends CalibrationContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new TrainingBackend(TestDevice.open());
    }

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }
}
