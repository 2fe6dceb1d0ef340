package io.groupreduce.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Field;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;

/** What the stand-in driver lets tests set and ask beyond the real driver's functions. */
@SuppressWarnings("restricted")
public final class EmulatedDriver {
    // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
    private static final int MAJOR = 75;
    private static final int MINOR = 76;
    private static final int AS_BEFORE = -1;

    /** CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT. */
    public static final int MULTIPROCESSORS = 16;

    /** CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO. */
    public static final int SINGLE_TO_DOUBLE = 87;

    /** CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN. */
    public static final int SHARED_BYTES = 97;

    private EmulatedDriver() {}

    /** Open allocations, streams, events, modules and graphs. */
    public static long objects(CudaLibraries libraries) {
        return (long) invoke(libraries, "gr_emulated_objects", FunctionDescriptor.of(ValueLayout.JAVA_LONG));
    }

    /** Runs the work with a card of so much memory. */
    public static void withMemory(CudaLibraries libraries, long bytes, Runnable work) {
        invoke(libraries, "gr_emulated_memory", arguments(ValueLayout.JAVA_LONG), bytes);
        try {
            work.run();
        } finally {
            invoke(libraries, "gr_emulated_memory", arguments(ValueLayout.JAVA_LONG), 0L);
        }
    }

    /** Runs the work with a card of this compute capability. */
    public static void withComputeCapability(CudaLibraries libraries, int major, int minor, Runnable work) {
        attribute(libraries, MAJOR, major);
        attribute(libraries, MINOR, minor);
        try {
            work.run();
        } finally {
            attribute(libraries, MAJOR, AS_BEFORE);
            attribute(libraries, MINOR, AS_BEFORE);
        }
    }

    /** Runs the work with a card of another attribute; devices opened in it have it. */
    public static void withAttribute(CudaLibraries libraries, int which, int value, Runnable work) {
        attribute(libraries, which, value);
        try {
            work.run();
        } finally {
            attribute(libraries, which, AS_BEFORE);
        }
    }

    /** Runs the work once for each of so many orders of queued work, and gives it their seeds. */
    public static void inOrders(CudaLibraries libraries, int orders, IntConsumer work) {
        try {
            for (int seed = 1; seed <= orders; seed++) {
                invoke(libraries, "gr_emulated_seed", arguments(ValueLayout.JAVA_LONG), (long) seed);
                work.accept(seed);
            }
        } finally {
            invoke(libraries, "gr_emulated_seed", arguments(ValueLayout.JAVA_LONG), 0L);
        }
    }

    /** Runs the work with a driver of this CUDA version, 1000 x major + 10 x minor. */
    public static void withVersion(CudaLibraries libraries, int version, Runnable work) {
        invoke(libraries, "gr_emulated_driver", arguments(ValueLayout.JAVA_INT), version);
        try {
            work.run();
        } finally {
            invoke(libraries, "gr_emulated_driver", arguments(ValueLayout.JAVA_INT), 13000);
        }
    }

    /** The libraries with a driver that lacks functions, as an older one does. */
    static CudaLibraries without(CudaLibraries libraries, String... functions) {
        SymbolLookup whole = libraries.driver();
        SymbolLookup older = name -> List.of(functions).contains(name) ? Optional.empty() : whole.find(name);
        try {
            Field driver = CudaLibraries.class.getDeclaredField("driver");
            driver.setAccessible(true);
            driver.set(libraries, older);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
        return libraries;
    }

    /** Runs the work while the {@code nth} call from now on of a function of the driver, by its exported name, returns {@code code}. */
    public static void refusing(CudaLibraries libraries, String function, int nth, int code, Runnable work) {
        FunctionDescriptor type = arguments(ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(function);
            invoke(libraries, "gr_emulated_refuse", type, name, nth, code);
            try {
                work.run();
            } finally {
                invoke(libraries, "gr_emulated_refuse", type, name, 0, 0);
            }
        }
    }

    /**
     * Runs the work while the {@code nth} launch, copy or fill from now on ends with {@code code}, and with it the card: all calls after it fail
     * like it. Afterwards the card is whole again, for devices that were open before too.
     */
    public static void losing(CudaLibraries libraries, int nth, int code, Runnable work) {
        FunctionDescriptor type = arguments(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
        invoke(libraries, "gr_emulated_lose", type, nth, code);
        try {
            work.run();
        } finally {
            invoke(libraries, "gr_emulated_lose", type, 0, 0);
        }
    }

    /** Runs the work while another process takes so much of the card's memory, right after we next ask how much is free. */
    public static void whileAnotherTakes(CudaLibraries libraries, long bytes, Runnable work) {
        invoke(libraries, "gr_emulated_take", arguments(ValueLayout.JAVA_LONG), bytes);
        try {
            work.run();
        } finally {
            invoke(libraries, "gr_emulated_take", arguments(ValueLayout.JAVA_LONG), 0L);
        }
    }

    private static void attribute(CudaLibraries libraries, int which, int value) {
        invoke(libraries, "gr_emulated_attribute", arguments(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT), which, value);
    }

    private static FunctionDescriptor arguments(MemoryLayout... types) {
        return FunctionDescriptor.ofVoid(types);
    }

    private static Object invoke(CudaLibraries libraries, String name, FunctionDescriptor type, Object... arguments) {
        try {
            return Linker.nativeLinker()
                    .downcallHandle(libraries.driver().find(name).orElseThrow(), type)
                    .invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new AssertionError(name, e);
        }
    }
}
