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
    private static final MethodHandle POINTER_INT_WORD = handle(POINTER, INT, WORD);
    private static final MethodHandle POINTER_WORD_LONG = handle(POINTER, WORD, WORD);

    /** A downcall; returns the status. */
    private interface Call {
        int run() throws Throwable;
    }

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
    private final MemorySegment pointerAttribute;

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
        pointerAttribute = function("cuPointerGetAttribute");
    }

    /** Blocks in one dimension, a grid in two; returns the status, which only the kernel can explain. */
    int launch(long function, int gridX, int gridY, int blockX, int sharedBytes, long stream, MemorySegment extra) {
        return call(() -> (int) LAUNCH.invokeExact(
                launchKernel, function, gridX, gridY, 1, blockX, 1, 1, sharedBytes, stream, MemorySegment.NULL, extra));
    }

    void copyToDevice(long address, MemorySegment pinned, long stream) {
        check("copying to the card", () ->
                (int) COPY_TO_DEVICE.invokeExact(copyToDevice, address, pinned, pinned.byteSize(), stream));
    }

    void copyToHost(MemorySegment pinned, long address, long stream) {
        check("copying from the card", () ->
                (int) COPY_TO_HOST.invokeExact(copyToHost, pinned, address, pinned.byteSize(), stream));
    }

    void copyOnDevice(long to, long from, long bytes, long stream) {
        check("copying on the card", () -> (int) FOUR_WORDS.invokeExact(copyOnDevice, to, from, bytes, stream));
    }

    void fill(long address, byte value, long bytes, long stream) {
        check("clearing memory on the card", () -> (int) FILL.invokeExact(fill, address, value, bytes, stream));
    }

    int functionAttribute(long function, int attribute, int value) {
        return call(() -> (int) WORD_INT_INT.invokeExact(functionAttribute, function, attribute, value));
    }

    /** Finishes loading a function that the driver left for its first launch, which a recorded launch may not do; old drivers leave none. */
    void load(long function) {
        MemorySegment load = driver.find("cuFuncLoad").orElse(null);
        if (load == null) {
            return;
        }
        check("loading a kernel", () -> (int) ONE_WORD.invokeExact(load, function));
    }

    void record(long event, long stream) {
        check("recording an event", () -> (int) TWO_WORDS.invokeExact(eventRecord, event, stream));
    }

    void synchronizeEvent(long event) {
        check("waiting for an event", () -> (int) ONE_WORD.invokeExact(eventSynchronize, event));
    }

    void await(long stream, long event) {
        check("making a stream wait for an event", () -> (int) WORD_WORD_INT.invokeExact(streamWait, stream, event, 0));
    }

    void synchronizeStream(long stream) {
        check("waiting for the card", () -> (int) ONE_WORD.invokeExact(streamSynchronize, stream));
    }

    /** Fills {@code value} with what is known of an address; returns the status, which is a failure where nothing is. */
    int pointerAttribute(MemorySegment value, int attribute, long address) {
        return call(() -> (int) POINTER_INT_WORD.invokeExact(pointerAttribute, value, attribute, address));
    }

    /** What is launched on the stream from now on is noted instead of run. */
    void beginCapture(long stream, int mode) {
        check("starting to record a graph", () ->
                (int) WORD_INT.invokeExact(function("cuStreamBeginCapture_v2"), stream, mode));
    }

    /** Ends the noting; {@code graph} takes the handle. */
    void endCapture(long stream, MemorySegment graph) {
        check("recording a graph", () -> (int) WORD_POINTER.invokeExact(function("cuStreamEndCapture"), stream, graph));
    }

    /** Makes a graph ready to run; {@code executable} takes the handle. */
    void instantiate(MemorySegment executable, long graph) {
        check("making a graph ready", () ->
                (int) POINTER_WORD_LONG.invokeExact(function("cuGraphInstantiateWithFlags"), executable, graph, 0L));
    }

    /** Runs {@code name}, a function of one handle. */
    void destroy(String name, long handle) {
        check("freeing a graph", () -> (int) ONE_WORD.invokeExact(function(name), handle));
    }

    MemorySegment function(String name) {
        return driver.find(name)
                .orElseThrow(() -> new DeviceException(
                        "The NVIDIA driver lacks the function " + name + "; update it to one of CUDA 12 or newer."));
    }

    void launchGraph(MemorySegment function, long executable, long stream) {
        check("running a graph", () -> (int) TWO_WORDS.invokeExact(function, executable, stream));
    }

    /** A handle of a function that returns a status; its address comes first. */
    static MethodHandle handle(MemoryLayout... arguments) {
        return LINKER.downcallHandle(FunctionDescriptor.of(INT, arguments));
    }

    private static void check(String doing, Call call) {
        Status.check(call(call), doing);
    }

    /** What a method handle throws is unchecked here: its signature is fixed. */
    private static int call(Call call) {
        try {
            return call.run();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new DeviceException("A call of the NVIDIA driver failed: " + e + ".", e);
        }
    }
}
