package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.RightContract;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;

/** Directions, stored coordinates and normal equations keep the contract of every backend. */
@Tag("gpu")
class RightContractTest extends RightContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new CompressionBackend(TestDevice.open());
    }

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }
}
