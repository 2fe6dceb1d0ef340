package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.error.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * One of NVIDIA's libraries whose functions return a status: finds them by name, calls them, and turns a bad status
 * into an exception.
 */
@SuppressWarnings("restricted")
final class NativeLibrary {
    private static final String NO_MEMORY = "ALLOC_FAILED";

    private static final Linker LINKER = Linker.nativeLinker();

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

    /** A function that returns a status. */
    final class Function {
        private final String function;
        private final String[] arguments;
        private final MethodHandle handle;

        private Function(String function, String arguments, MemorySegment address) {
            this.function = function;
            this.arguments = arguments.split(" ");
            MemoryLayout[] layouts = Arrays.stream(this.arguments)
                    .map(a -> a.startsWith("*") ? ValueLayout.JAVA_LONG : ValueLayout.JAVA_INT)
                    .toArray(MemoryLayout[]::new);
            handle = LINKER.downcallHandle(address, FunctionDescriptor.of(ValueLayout.JAVA_INT, layouts))
                    .asSpreader(Object[].class, layouts.length);
        }

        /**
         * Calls it and checks the status.
         *
         * @param values numbers; an {@link Operand} for its address and leading dimension, an array for all in it
         * @throws DeviceException naming the sizes of the call, if the status is not success
         */
        void call(Object... values) {
            Object[] flat = new Object[arguments.length];
            if (flatten(values, flat, 0) != flat.length) {
                throw new IllegalArgumentException(function + " takes " + flat.length + " arguments");
            }
            int status;
            try {
                status = (int) handle.invokeExact(flat);
            } catch (Error | RuntimeException e) {
                throw e;
            } catch (Throwable e) {
                throw new DeviceException("The call of " + function + " failed: " + e + ".", e);
            }
            if (status != 0) {
                throw failure(function, status, sizes(flat));
            }
        }

        private String sizes(Object[] values) {
            return IntStream.range(0, values.length)
                    .filter(i -> arguments[i].contains("#"))
                    .mapToObj(i -> arguments[i].substring(arguments[i].indexOf('#') + 1) + " = " + values[i])
                    .collect(Collectors.joining(", "));
        }
    }

    /** Writes values from {@code flat[at]} on, as far as there is room; returns where it would end. */
    private static int flatten(Object[] values, Object[] flat, int at) {
        int next = at;
        for (Object value : values) {
            if (value instanceof Object[] several) {
                next = flatten(several, flat, next);
            } else if (value instanceof Operand operand) {
                next = put(operand.leading(), flat, put(operand.address(), flat, next));
            } else {
                next = put(value, flat, next);
            }
        }
        return next;
    }

    private static int put(Object value, Object[] flat, int at) {
        if (at < flat.length) {
            flat[at] = value;
        }
        return at + 1;
    }

    /**
     * Looks a function up.
     *
     * @param arguments one word each, {@code *} before what is a machine word ({@code int64_t}, {@code size_t}, handles and addresses on
     *     either side) rather than an {@code int}, then {@code #} before the name of a size
     * @throws DeviceException if the library lacks it
     */
    Function function(String function, String arguments) {
        return symbols.find(function)
                .map(address -> new Function(function, arguments, address))
                .orElseThrow(() -> new DeviceException(name + " lacks the function " + function + "; install the "
                        + name + " of CUDA 12 or newer, or use --device cpu."));
    }

    boolean has(String function) {
        return symbols.find(function).isPresent();
    }

    /** Makes an object of the library, which {@code owned} gives back, and returns its handle. */
    long create(String create, String destroy, Owned owned) {
        Function giveBack = function(destroy, "*object");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment made = arena.allocate(ValueLayout.JAVA_LONG);
            function(create, "*made").call(made.address());
            long object = made.get(ValueLayout.JAVA_LONG, 0);
            owned.add(() -> giveBack.call(object));
            return object;
        }
    }

    /** The exception of a status that is not success. */
    DeviceException failure(String function, int code, String sizes) {
        String status = statusNames.apply(code);
        String text = name + " failed in " + function + " with " + status + (sizes.isEmpty() ? "" : " (" + sizes + ")")
                + "; " + advice(status) + ".";
        // Smaller steps may do with the memory that is left.
        return status.endsWith(NO_MEMORY) ? new OutOfDeviceMemoryException(text, 0) : new DeviceException(text);
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
