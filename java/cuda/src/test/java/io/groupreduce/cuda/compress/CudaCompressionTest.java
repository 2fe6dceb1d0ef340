package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.BackendContract;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;

/** The compression workspace keeps the contract of every backend. */
@Tag("gpu")
class CudaCompressionTest extends BackendContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new CompressionBackend(TestDevice.open());
    }

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }
}
