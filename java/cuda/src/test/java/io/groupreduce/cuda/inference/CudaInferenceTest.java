package io.groupreduce.cuda.inference;

import io.groupreduce.api.Threads;
import io.groupreduce.cuda.CudaBackendProvider;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.InferenceContract;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;

/** The GPU's sessions keep the contract of every backend that answers queries. */
@Tag("gpu")
class CudaInferenceTest extends InferenceContract {
    /** While one device is open, the driver keeps the card ready and others open at once. */
    @BeforeAll
    static void keepTheCardReady() {
        TestDevice.open();
    }

    @Override
    protected ComputeBackend backend(int threads) {
        return new CudaBackendProvider().create(0, Threads.own(threads));
    }

    /** Nothing is ever left out on a card. */
    @Override
    protected boolean prunes() {
        return false;
    }

    @Override
    protected boolean slow() {
        return TestDevice.emulated();
    }
}
