package io.groupreduce.benchmarks;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * OpenBLAS as a peer, through the Foreign Function and Memory API. The library comes out of bytedeco's jar (Linux, x86-64);
 * JavaCPP is not used. Matrices are row-major in off-heap memory.
 */
public final class OpenBlas {
    private static final String FOLDER = "/org/bytedeco/openblas/linux-x86_64/";
    private static final String[] LIBRARIES = {"libquadmath.so.0", "libgfortran.so.5", "libopenblas.so.0"};

    private static final int ROW_MAJOR = 101;
    private static final int NO_TRANSPOSE = 111;
    private static final int TRANSPOSE = 112;
    private static final int UPPER = 121;
    private static final byte VECTORS = 'V';
    private static final byte RANGE = 'I';
    private static final byte UPPER_LETTER = 'U';

    private final MethodHandle setThreads;
    private final MethodHandle sgemm;
    private final MethodHandle sgemv;
    private final MethodHandle sasum;
    private final MethodHandle ssyrk;
    private final MethodHandle dsyevd;
    private final MethodHandle ssyevr;

    /**
     * Unpacks and loads the library.
     *
     * @throws IllegalStateException if the jar has none for this platform
     */
    @SuppressWarnings("restricted")
    public OpenBlas() {
        SymbolLookup lookup = SymbolLookup.libraryLookup(unpack(), Arena.global());
        setThreads = handle(lookup, "openblas_set_num_threads", FunctionDescriptor.ofVoid(JAVA_INT));
        sgemm = handle(lookup, "cblas_sgemm", FunctionDescriptor.ofVoid(layouts("iiiiiifpipifpi")));
        sgemv = handle(lookup, "cblas_sgemv", FunctionDescriptor.ofVoid(layouts("iiiifpipifpi")));
        sasum = handle(lookup, "cblas_sasum", FunctionDescriptor.of(JAVA_FLOAT, layouts("ipi")));
        ssyrk = handle(lookup, "cblas_ssyrk", FunctionDescriptor.ofVoid(layouts("iiiiifpifpi")));
        dsyevd = handle(lookup, "LAPACKE_dsyevd", FunctionDescriptor.of(JAVA_INT, layouts("ibbipip")));
        ssyevr = handle(lookup, "LAPACKE_ssyevr", FunctionDescriptor.of(JAVA_INT, layouts("ibbbipiffiifpppip")));
    }

    /** One letter an argument: int, byte, float, pointer. */
    private static MemoryLayout[] layouts(String letters) {
        return letters.chars()
                .mapToObj(letter -> switch (letter) {
                    case 'i' -> JAVA_INT;
                    case 'b' -> JAVA_BYTE;
                    case 'f' -> JAVA_FLOAT;
                    default -> ADDRESS;
                })
                .toArray(MemoryLayout[]::new);
    }

    @SuppressWarnings("restricted")
    private static MethodHandle handle(SymbolLookup lookup, String name, FunctionDescriptor descriptor) {
        MemorySegment symbol = lookup.find(name)
                .orElseThrow(() -> new IllegalStateException("the OpenBLAS jar has no function " + name));
        return Linker.nativeLinker().downcallHandle(symbol, descriptor);
    }

    /** All three libraries in one folder, so that the loader finds the dependencies beside the library. */
    private static Path unpack() {
        try {
            Path folder = Files.createTempDirectory("groupreduce-openblas");
            folder.toFile().deleteOnExit();
            Path last = null;
            for (String library : LIBRARIES) {
                last = folder.resolve(library);
                try (InputStream in = OpenBlas.class.getResourceAsStream(FOLDER + library)) {
                    if (in == null) {
                        throw new IllegalStateException("the OpenBLAS jar lacks " + library + " for this platform");
                    }
                    Files.copy(in, last, StandardCopyOption.REPLACE_EXISTING);
                }
                last.toFile().deleteOnExit();
            }
            return last;
        } catch (IOException e) {
            throw new IllegalStateException("OpenBLAS cannot be unpacked", e);
        }
    }

    /** How many threads later calls use; the setting is the process's. */
    public void threads(int count) {
        call(() -> {
            setThreads.invokeExact(count);
        });
    }

    /** C = A B; A: m x k, B: k x n, C: m x n. */
    void multiply(int m, int n, int k, MemorySegment a, MemorySegment b, MemorySegment c) {
        call(() -> {
            sgemm.invokeExact(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, m, n, k, 1f, a, k, b, n, 0f, c, n);
        });
    }

    /**
     * C = A B^T + beta C; A: m x k, B: n x k, C: m x n.
     *
     * @param lda numbers from one row of A to the next
     * @param ldc numbers from one row of C to the next
     */
    public void multiplyTransposed(
            int m, int n, int k, MemorySegment a, int lda, MemorySegment b, float beta, MemorySegment c, int ldc) {
        call(() -> {
            sgemm.invokeExact(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, m, n, k, 1f, a, lda, b, k, beta, c, ldc);
        });
    }

    /** y = A x + beta y; A: m x n. */
    public void multiplyVector(int m, int n, MemorySegment a, MemorySegment x, float beta, MemorySegment y) {
        call(() -> {
            sgemv.invokeExact(ROW_MAJOR, NO_TRANSPOSE, m, n, 1f, a, n, x, 1, beta, y, 1);
        });
    }

    /** sum_i |x_i|, which reads x once and does nothing else. */
    public float sumOfMagnitudes(int n, MemorySegment x) {
        float[] sum = new float[1];
        call(() -> {
            sum[0] = (float) sasum.invokeExact(n, x, 1);
        });
        return sum[0];
    }

    /** The upper triangle of C = A^T A; A: rows x n, C: n x n. */
    void gram(int rows, int n, MemorySegment a, MemorySegment c) {
        call(() -> {
            ssyrk.invokeExact(ROW_MAJOR, UPPER, TRANSPOSE, n, rows, 1f, a, n, 0f, c, n);
        });
    }

    /** All eigenvalues and vectors of a symmetric binary64 matrix, which is overwritten: what NumPy's eigh does. */
    void eigenDouble(int n, MemorySegment matrix, MemorySegment values) {
        call(() -> {
            int info = (int) dsyevd.invokeExact(ROW_MAJOR, VECTORS, UPPER_LETTER, n, matrix, n, values);
            require(info);
        });
    }

    /** The {@code count} largest eigenvalues and their vectors of a symmetric binary32 matrix, which is overwritten. */
    void eigenLeading(
            int n,
            int count,
            MemorySegment matrix,
            MemorySegment values,
            MemorySegment vectors,
            MemorySegment integers) {
        call(() -> {
            int info = (int) ssyevr.invokeExact(
                    ROW_MAJOR,
                    VECTORS,
                    RANGE,
                    UPPER_LETTER,
                    n,
                    matrix,
                    n,
                    0f,
                    0f,
                    n - count + 1,
                    n,
                    0f,
                    integers,
                    values,
                    vectors,
                    count,
                    integers.asSlice(Integer.BYTES));
            require(info);
        });
    }

    private static void require(int info) {
        if (info != 0) {
            throw new IllegalStateException("LAPACK ended with " + info);
        }
    }

    /** A call that may throw anything, as method handles do. Bodies are blocks: only a statement has the exact type void. */
    @FunctionalInterface
    private interface Call {
        void run() throws Throwable;
    }

    private static void call(Call call) {
        try {
            call.run();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }
}
