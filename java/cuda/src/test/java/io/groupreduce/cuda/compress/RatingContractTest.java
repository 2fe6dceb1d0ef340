package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.RateContract;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;

/** Rating and choosing keep the contract of every backend. */
@Tag("gpu")
class RatingContractTest extends RateContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new CompressionBackend(TestDevice.open());
    }

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }
}
