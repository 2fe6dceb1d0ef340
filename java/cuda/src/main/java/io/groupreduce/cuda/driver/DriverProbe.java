package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/** Asks the driver the first questions without JCuda, whose classes cannot be loaded a second time once they failed. */
@SuppressWarnings("restricted")
final class DriverProbe {
    private DriverProbe() {}

    /** The driver's CUDA version: 1000 x major + 10 x minor. */
    static int version(SymbolLookup driver) {
        return ask(driver, "cuDriverGetVersion");
    }

    /**
     * Initialises the driver and counts its cards.
     *
     * @return at least 1
     * @throws DeviceException if the driver does not start or has no card
     */
    static int devices(SymbolLookup driver) {
        int code = call(driver, "cuInit", ValueLayout.JAVA_INT, 0);
        if (code == CUresult.CUDA_ERROR_NO_DEVICE) {
            throw noDevice();
        }
        if (code != CUresult.CUDA_SUCCESS) {
            throw new DeviceException("The GPU cannot be used: the NVIDIA driver does not start (" + Status.name(code)
                    + "); " + Status.advice(code) + ".");
        }
        int count = ask(driver, "cuDeviceGetCount");
        if (count == 0) {
            throw noDevice();
        }
        return count;
    }

    /** Starts JCuda, after {@link #devices} has passed. */
    static void startJcuda() {
        try {
            JCudaDriver.setExceptionsEnabled(false);
            Status.check(JCudaDriver.cuInit(0), "starting the NVIDIA driver");
        } catch (LinkageError e) {
            throw new DeviceException(
                    "The GPU cannot be used: JCuda's native library does not load on " + System.getProperty("os.name")
                            + " " + System.getProperty("os.arch")
                            + "; it needs Linux on x86-64 and a folder for temporary files (-Djava.io.tmpdir="
                            + System.getProperty("java.io.tmpdir") + ") that it may write and run programs in.",
                    e);
        }
    }

    private static DeviceException noDevice() {
        return new DeviceException("The GPU cannot be used: the NVIDIA driver has no card; "
                + Status.advice(CUresult.CUDA_ERROR_NO_DEVICE) + ".");
    }

    /** A function that writes one number. */
    private static int ask(SymbolLookup driver, String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment answer = arena.allocate(ValueLayout.JAVA_INT);
            Status.check(call(driver, name, ValueLayout.ADDRESS, answer), "asking the driver (" + name + ")");
            return answer.get(ValueLayout.JAVA_INT, 0);
        }
    }

    private static int call(SymbolLookup driver, String name, MemoryLayout type, Object argument) {
        MemorySegment function = driver.find(name)
                .orElseThrow(() -> new DeviceException(
                        "The GPU cannot be used: libcuda.so.1 lacks " + name + "; install the NVIDIA driver anew."));
        try {
            return (int) Linker.nativeLinker()
                    .downcallHandle(function, FunctionDescriptor.of(ValueLayout.JAVA_INT, type))
                    .invoke(argument);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new DeviceException("The GPU cannot be used: " + name + " failed (" + e + ").", e);
        }
    }
}
