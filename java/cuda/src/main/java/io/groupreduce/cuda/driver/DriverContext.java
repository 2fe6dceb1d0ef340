package io.groupreduce.cuda.driver;

import java.lang.foreign.SymbolLookup;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;

/** The card's primary context, which cuBLAS and cuSOLVER share, and the two queues in it. Belongs to the device's thread. */
final class DriverContext implements AutoCloseable {
    // CU_STREAM_NON_BLOCKING: no hidden order against the driver's default stream.
    private static final int NON_BLOCKING = 1;

    private final DriverCalls calls;
    private final CUdevice device = new CUdevice();
    private final CUcontext context = new CUcontext();
    private boolean retained;
    private Handles.StreamHandle mainHandle;
    private Handles.StreamHandle copyHandle;
    private Stream main;
    private Stream copy;

    private DriverContext(DriverCalls calls) {
        this.calls = calls;
    }

    /** Makes it current on the calling thread. */
    static DriverContext open(SymbolLookup driver, int ordinal) {
        DriverContext opened = new DriverContext(new DriverCalls(driver));
        try {
            opened.start(ordinal);
        } catch (RuntimeException e) {
            try {
                opened.close();
            } catch (RuntimeException second) {
                e.addSuppressed(second);
            }
            throw e;
        }
        return opened;
    }

    DriverCalls calls() {
        return calls;
    }

    Stream stream() {
        return main;
    }

    Stream copyStream() {
        return copy;
    }

    @Override
    public void close() {
        Failures failures = new Failures();
        destroy(copyHandle, failures);
        destroy(mainHandle, failures);
        copyHandle = null;
        mainHandle = null;
        if (retained) {
            retained = false;
            failures.attempt(() -> Status.check(JCudaDriver.cuCtxSetCurrent(new CUcontext()), "leaving the context"));
            failures.attempt(
                    () -> Status.check(JCudaDriver.cuDevicePrimaryCtxRelease(device), "releasing the context"));
        }
        failures.report();
    }

    private void start(int ordinal) {
        Status.check(JCudaDriver.cuDeviceGet(device, ordinal), "looking for the card " + ordinal);
        Status.check(JCudaDriver.cuDevicePrimaryCtxRetain(context, device), "opening the card cuda:" + ordinal);
        retained = true;
        Status.check(JCudaDriver.cuCtxSetCurrent(context), "opening the card cuda:" + ordinal);
        mainHandle = new Handles.StreamHandle();
        Status.check(JCudaDriver.cuStreamCreate(mainHandle, NON_BLOCKING), "making a stream");
        main = new Stream(calls, mainHandle.value());
        copyHandle = new Handles.StreamHandle();
        Status.check(JCudaDriver.cuStreamCreate(copyHandle, NON_BLOCKING), "making a stream");
        copy = new Stream(calls, copyHandle.value());
    }

    private static void destroy(Handles.StreamHandle handle, Failures failures) {
        if (handle != null && handle.value() != 0) {
            failures.attempt(() -> Status.check(JCudaDriver.cuStreamDestroy(handle), "freeing a stream"));
        }
    }
}
