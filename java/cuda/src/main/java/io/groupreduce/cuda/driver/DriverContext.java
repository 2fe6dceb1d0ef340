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
    private final Owned owned = new Owned(null);
    private final Stream main;
    private final Stream copy;

    /** Makes it current on the calling thread. */
    DriverContext(SymbolLookup driver, int ordinal) {
        calls = new DriverCalls(driver);
        String opening = "opening the card cuda:" + ordinal;
        CUdevice device = new CUdevice();
        CUcontext context = new CUcontext();
        try {
            Status.check(JCudaDriver.cuDeviceGet(device, ordinal), "looking for the card " + ordinal);
            Status.check(JCudaDriver.cuDevicePrimaryCtxRetain(context, device), opening);
            owned.add(() -> Status.check(JCudaDriver.cuDevicePrimaryCtxRelease(device), "releasing the context"));
            Status.check(JCudaDriver.cuCtxSetCurrent(context), opening);
            owned.add(() -> Status.check(JCudaDriver.cuCtxSetCurrent(new CUcontext()), "leaving the context"));
            main = makeStream();
            copy = makeStream();
        } catch (Throwable e) {
            owned.closeAfter(e);
            throw e;
        }
    }

    private Stream makeStream() {
        Handles.StreamHandle handle = new Handles.StreamHandle();
        Status.check(JCudaDriver.cuStreamCreate(handle, NON_BLOCKING), "making a stream");
        owned.add(() -> Status.check(JCudaDriver.cuStreamDestroy(handle), "freeing a stream"));
        return new Stream(calls, handle.value());
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
        owned.close();
    }
}
