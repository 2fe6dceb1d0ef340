package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * The driver's functions on the path of every query: launches, copies, fills, events. They are called without JCuda, whose pointer trees cost
 * microseconds a launch. Every method returns when the driver has accepted the work and throws when it has not.
 */
@SuppressWarnings("restricted")
final class DriverCalls {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    // Handles and device addresses; both are one machine word.
    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG;
    private static final AddressLayout POINTER = ValueLayout.ADDRESS;

    // The handles take the function's address as their first argument: as constants they are inlined.
    private static final MethodHandle LAUNCH = handle(WORD, INT, INT, INT, INT, INT, INT, INT, WORD, POINTER, POINTER);
    private static final MethodHandle COPY_TO_DEVICE = handle(WORD, POINTER, WORD, WORD);
    private static final MethodHandle COPY_TO_HOST = handle(POINTER, WORD, WORD, WORD);
    private static final MethodHandle FOUR_WORDS = handle(WORD, WORD, WORD, WORD);
    private static final MethodHandle FILL = handle(WORD, ValueLayout.JAVA_BYTE, WORD, WORD);
    private static final MethodHandle TWO_WORDS = handle(WORD, WORD);
    private static final MethodHandle ONE_WORD = handle(WORD);
    private static final MethodHandle WORD_WORD_INT = handle(WORD, WORD, INT);
    private static final MethodHandle WORD_INT_INT = handle(WORD, INT, INT);
    private static final MethodHandle WORD_INT = handle(WORD, INT);
    private static final MethodHandle WORD_POINTER = handle(WORD, POINTER);
    private static final MethodHandle POINTER_WORD_LONG = handle(POINTER, WORD, WORD);

    private final SymbolLookup driver;
    private final MemorySegment launchKernel;
    private final MemorySegment copyToDevice;
    private final MemorySegment copyToHost;
    private final MemorySegment copyOnDevice;
    private final MemorySegment fill;
    private final MemorySegment functionAttribute;
    private final MemorySegment eventRecord;
    private final MemorySegment eventSynchronize;
    private final MemorySegment streamWait;
    private final MemorySegment streamSynchronize;

    /** Finds the functions; throws {@link DeviceException} when the driver lacks one. */
    DriverCalls(SymbolLookup driver) {
        this.driver = driver;
        launchKernel = function("cuLaunchKernel");
        copyToDevice = function("cuMemcpyHtoDAsync_v2");
        copyToHost = function("cuMemcpyDtoHAsync_v2");
        copyOnDevice = function("cuMemcpyDtoDAsync_v2");
        fill = function("cuMemsetD8Async");
        functionAttribute = function("cuFuncSetAttribute");
        eventRecord = function("cuEventRecord");
        eventSynchronize = function("cuEventSynchronize");
        streamWait = function("cuStreamWaitEvent");
        streamSynchronize = function("cuStreamSynchronize");
    }

    /** Blocks in one dimension, a grid in two; returns the status, which only the kernel can explain. */
    int launch(long function, int gridX, int gridY, int blockX, int sharedBytes, long stream, MemorySegment extra) {
        try {
            return (int) LAUNCH.invokeExact(
                    launchKernel,
                    function,
                    gridX,
                    gridY,
                    1,
                    blockX,
                    1,
                    1,
                    sharedBytes,
                    stream,
                    MemorySegment.NULL,
                    extra);
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    void copyToDevice(long address, MemorySegment pinned, long stream) {
        try {
            Status.check(
                    (int) COPY_TO_DEVICE.invokeExact(copyToDevice, address, pinned, pinned.byteSize(), stream),
                    "copying to the card");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    void copyToHost(MemorySegment pinned, long address, long stream) {
        try {
            Status.check(
                    (int) COPY_TO_HOST.invokeExact(copyToHost, pinned, address, pinned.byteSize(), stream),
                    "copying from the card");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    void copyOnDevice(long to, long from, long bytes, long stream) {
        try {
            Status.check((int) FOUR_WORDS.invokeExact(copyOnDevice, to, from, bytes, stream), "copying on the card");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    void fill(long address, byte value, long bytes, long stream) {
        try {
            Status.check((int) FILL.invokeExact(fill, address, value, bytes, stream), "clearing memory on the card");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    int functionAttribute(long function, int attribute, int value) {
        try {
            return (int) WORD_INT_INT.invokeExact(functionAttribute, function, attribute, value);
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    /** Finishes loading a function that the driver left for its first launch, which a recorded launch may not do; old drivers leave none. */
    void load(long function) {
        MemorySegment load = driver.find("cuFuncLoad").orElse(null);
        if (load == null) {
            return;
        }
        try {
            Status.check((int) ONE_WORD.invokeExact(load, function), "loading a kernel");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    void record(long event, long stream) {
        try {
            Status.check((int) TWO_WORDS.invokeExact(eventRecord, event, stream), "recording an event");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    void synchronizeEvent(long event) {
        try {
            Status.check((int) ONE_WORD.invokeExact(eventSynchronize, event), "waiting for an event");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    void await(long stream, long event) {
        try {
            Status.check(
                    (int) WORD_WORD_INT.invokeExact(streamWait, stream, event, 0), "making a stream wait for an event");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    void synchronizeStream(long stream) {
        try {
            Status.check((int) ONE_WORD.invokeExact(streamSynchronize, stream), "waiting for the card");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    /** What is launched on the stream from now on is noted instead of run. */
    void beginCapture(long stream, int mode) {
        try {
            Status.check(
                    (int) WORD_INT.invokeExact(function("cuStreamBeginCapture_v2"), stream, mode),
                    "starting to record a graph");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    /** Ends the noting; {@code graph} takes the handle. */
    void endCapture(long stream, MemorySegment graph) {
        try {
            Status.check(
                    (int) WORD_POINTER.invokeExact(function("cuStreamEndCapture"), stream, graph), "recording a graph");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    /** Makes a graph ready to run; {@code executable} takes the handle. */
    void instantiate(MemorySegment executable, long graph) {
        try {
            Status.check(
                    (int) POINTER_WORD_LONG.invokeExact(function("cuGraphInstantiateWithFlags"), executable, graph, 0L),
                    "making a graph ready");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    /** Runs {@code name}, a function of one handle. */
    void destroy(String name, long handle) {
        try {
            Status.check((int) ONE_WORD.invokeExact(function(name), handle), "freeing a graph");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    MemorySegment function(String name) {
        return driver.find(name)
                .orElseThrow(() -> new DeviceException(
                        "The NVIDIA driver lacks the function " + name + "; update it to one of CUDA 12 or newer."));
    }

    void launchGraph(MemorySegment function, long executable, long stream) {
        try {
            Status.check((int) TWO_WORDS.invokeExact(function, executable, stream), "running a graph");
        } catch (Throwable e) {
            throw broken(e);
        }
    }

    /** A handle of a function that returns a status; its address comes first. */
    static MethodHandle handle(MemoryLayout... arguments) {
        return LINKER.downcallHandle(FunctionDescriptor.of(INT, arguments));
    }

    /** What a method handle throws is unchecked here: its signature is fixed. */
    private static RuntimeException broken(Throwable e) {
        if (e instanceof RuntimeException) {
            return (RuntimeException) e;
        }
        if (e instanceof Error) {
            throw (Error) e;
        }
        return new DeviceException("A call of the NVIDIA driver failed: " + e + ".", e);
    }
}
