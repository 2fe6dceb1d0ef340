package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.error.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.function.IntFunction;

/**
 * One of NVIDIA's libraries whose functions return a status: finds them by name, calls them, and turns a bad status
 * into an exception.
 */
@SuppressWarnings("restricted")
final class NativeLibrary {
    private static final String NO_MEMORY = "ALLOC_FAILED";

    static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

    /** Handles, addresses on either side, {@code size_t} and {@code int64_t}: all are one machine word. */
    static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG;

    private static final Linker LINKER = Linker.nativeLinker();

    /** A downcall; returns the status. */
    @FunctionalInterface
    interface Call {
        int run() throws Throwable;
    }

    private final String name;
    private final SymbolLookup symbols;
    private final IntFunction<String> statusNames;

    /**
     * @param name as people write it, such as cuBLAS
     * @param statusNames the library's own name of a status
     */
    NativeLibrary(String name, SymbolLookup symbols, IntFunction<String> statusNames) {
        this.name = name;
        this.symbols = symbols;
        this.statusNames = statusNames;
    }

    /** A function that returns a status; throws {@link DeviceException} if the library lacks it. */
    MethodHandle function(String function, MemoryLayout... arguments) {
        return symbols.find(function)
                .map(address -> LINKER.downcallHandle(address, FunctionDescriptor.of(INT, arguments)))
                .orElseThrow(() -> new DeviceException(name + " lacks the function " + function + "; install the "
                        + name + " of CUDA 12 or newer, or use --device cpu."));
    }

    boolean has(String function) {
        return symbols.find(function).isPresent();
    }

    /**
     * Runs a call and checks its status.
     *
     * @param function its name, for the message
     * @param labels names of the sizes, separated by commas
     * @param sizes what the call was asked to do, for the message
     * @throws DeviceException if the status is not success
     */
    void call(String function, Call call, String labels, long... sizes) {
        int status;
        try {
            status = call.run();
        } catch (Error | RuntimeException e) {
            throw e;
        } catch (Throwable e) {
            throw new DeviceException("The call of " + function + " failed: " + e + ".", e);
        }
        if (status != 0) {
            throw failure(function, statusNames.apply(status), labels, sizes);
        }
    }

    /** Calls a function that makes an object of the library, and returns its handle. */
    long create(String function) {
        MethodHandle create = function(function, WORD);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment made = arena.allocate(WORD);
            long address = made.address();
            call(function, () -> (int) create.invokeExact(address), "");
            return made.get(WORD, 0);
        }
    }

    /** Gives an object of {@link #create} back. */
    void destroy(String function, long object) {
        MethodHandle destroy = function(function, WORD);
        call(function, () -> (int) destroy.invokeExact(object), "");
    }

    /** Makes a handle queue its work on a stream. */
    void setStream(String function, long handle, Stream stream) {
        MethodHandle set = function(function, WORD, WORD);
        long queue = stream.handle();
        call(function, () -> (int) set.invokeExact(handle, queue), "");
    }

    private DeviceException failure(String function, String status, String labels, long... sizes) {
        StringBuilder text = new StringBuilder(name + " failed in " + function + " with " + status);
        if (sizes.length > 0) {
            String[] names = labels.split(",");
            for (int i = 0; i < sizes.length; i++) {
                text.append(i == 0 ? " (" : ", ").append(names[i]).append(" = ").append(sizes[i]);
            }
            text.append(')');
        }
        text.append("; ").append(advice(status)).append('.');
        // Smaller steps may do with the memory that is left.
        return status.endsWith(NO_MEMORY)
                ? new OutOfDeviceMemoryException(text.toString(), 0)
                : new DeviceException(text.toString());
    }

    private static String advice(String status) {
        if (status.endsWith(NO_MEMORY)) {
            return "free memory on the card, or work on a smaller matrix";
        }
        if (status.endsWith("NOT_INITIALIZED") || status.endsWith("ARCH_MISMATCH")) {
            return "check with 'groupreduce devices' that the CUDA libraries suit the driver and the card";
        }
        if (status.endsWith("EXECUTION_FAILED") || status.endsWith("MAPPING_ERROR")) {
            return "see 'nvidia-smi', and use --device cpu if it stays so";
        }
        return "report it with these sizes, and use --device cpu meanwhile";
    }
}
