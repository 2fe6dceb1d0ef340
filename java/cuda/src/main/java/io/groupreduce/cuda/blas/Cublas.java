package io.groupreduce.cuda.blas;

import static io.groupreduce.cuda.blas.NativeLibrary.INT;
import static io.groupreduce.cuda.blas.NativeLibrary.WORD;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import jcuda.cudaDataType;
import jcuda.jcublas.cublasComputeType;
import jcuda.jcublas.cublasDiagType;
import jcuda.jcublas.cublasFillMode;
import jcuda.jcublas.cublasGemmAlgo;
import jcuda.jcublas.cublasMath;
import jcuda.jcublas.cublasOperation;
import jcuda.jcublas.cublasSideMode;
import jcuda.jcublas.cublasStatus;

/**
 * cuBLAS on a device's stream. Matrices are column-major on the device, addresses in bytes, leading dimensions in
 * numbers; a row-major matrix is the transpose of a column-major one. Calls queue their work and return; a status that
 * is not success becomes a {@link io.groupreduce.error.DeviceException} that names the call and its sizes.
 *
 * <p>cuBLAS gets a workspace of its own, so that a product is the same bit for bit each time and nothing is allocated
 * behind our back. FP32 products are never rounded to TF32.
 *
 * <p>Used on the device's thread, and closed before the device is.
 */
public final class Cublas implements AutoCloseable {
    // NVIDIA's recommendation: 32 MiB from Hopper on; older cards need less.
    private static final long WORKSPACE_HOPPER = 32L << 20;
    private static final long WORKSPACE = 8L << 20;
    private static final int HOPPER = 9;

    private static final int BETA = Double.BYTES;
    private static final String GEMM_SIZES = "m,n,k,lda,ldb,ldc";
    private static final String BATCH_SIZES = "m,n,k,lda,ldb,ldc,batch";
    private static final String SYRK_SIZES = "n,k,lda,ldc";

    private final Device device;
    private final NativeLibrary library;
    private final MethodHandle dgemm;
    private final MethodHandle sgemm;
    private final MethodHandle dgemmBatched;
    private final MethodHandle dsyrk;
    private final MethodHandle ssyrk;
    private final MethodHandle dtrsmBatched;
    private final MethodHandle gemmEx;
    /** alpha and beta; cuBLAS has read them when a call returns. */
    private final MemorySegment scalars = Arena.ofAuto().allocate(2 * Double.BYTES, Double.BYTES);

    private final long scalar = scalars.address();
    private final long handle;
    private final DeviceMemory workspace;
    private boolean closed;

    /** Loads cuBLAS if need be and takes a handle. */
    public Cublas(Device device) {
        this.device = device;
        library = new NativeLibrary("cuBLAS", device.libraries().blas(), cublasStatus::stringFor);
        dgemm = gemm("cublasDgemm_v2");
        sgemm = gemm("cublasSgemm_v2");
        dgemmBatched = library.function(
                "cublasDgemmBatched", WORD, INT, INT, INT, INT, INT, WORD, WORD, INT, WORD, INT, WORD, WORD, INT, INT);
        dsyrk = syrk("cublasDsyrk_v2");
        ssyrk = syrk("cublasSsyrk_v2");
        dtrsmBatched = library.function(
                "cublasDtrsmBatched", WORD, INT, INT, INT, INT, INT, INT, WORD, WORD, INT, WORD, INT, INT);
        gemmEx = library.function(
                "cublasGemmEx",
                WORD,
                INT,
                INT,
                INT,
                INT,
                INT,
                WORD,
                WORD,
                INT,
                INT,
                WORD,
                INT,
                INT,
                WORD,
                WORD,
                INT,
                INT,
                INT,
                INT);
        long bytes = device.properties().computeMajor() >= HOPPER ? WORKSPACE_HOPPER : WORKSPACE;
        workspace = device.allocate(bytes, "cuBLAS's workspace");
        handle = create();
        configure();
    }

    /**
     * {@code C = alpha op(A) op(B) + beta C} in FP64; op(A) is m x k, op(B) k x n, C m x n. C is not read when beta is 0.
     */
    public void dgemm(int m, int n, int k, double alpha, Operand a, Operand b, double beta, Operand c) {
        set(alpha, beta);
        gemm("cublasDgemm_v2", dgemm, m, n, k, a, b, c);
    }

    /** {@link #dgemm} in FP32. */
    public void sgemm(int m, int n, int k, float alpha, Operand a, Operand b, float beta, Operand c) {
        set(alpha, beta);
        gemm("cublasSgemm_v2", sgemm, m, n, k, a, b, c);
    }

    /** Row-major in FP32: {@code C = A B}, A rows x inner, B inner x columns; all rows lie close. */
    public void product(int rows, int columns, int inner, long a, long b, long c) {
        sgemm(columns, rows, inner, 1, Operand.of(b, columns), Operand.of(a, inner), 0, Operand.of(c, columns));
    }

    /** Row-major in FP32: {@code C = A B^T}, A rows x inner, B columns x inner; all rows lie close. */
    public void productTransposed(int rows, int columns, int inner, long a, long b, long c) {
        sgemm(columns, rows, inner, 1, Operand.transposed(b, inner), Operand.of(a, inner), 0, Operand.of(c, columns));
    }

    private void gemm(String name, MethodHandle function, int m, int n, int k, Operand a, Operand b, Operand c) {
        library.call(
                name,
                () -> (int) function.invokeExact(
                        handle,
                        op(a),
                        op(b),
                        m,
                        n,
                        k,
                        scalar,
                        a.address(),
                        a.leading(),
                        b.address(),
                        b.leading(),
                        scalar + BETA,
                        c.address(),
                        c.leading()),
                GEMM_SIZES,
                m,
                n,
                k,
                a.leading(),
                b.leading(),
                c.leading());
    }

    /** {@link #dgemm} of {@code batch} matrices each. */
    void dgemmBatched(int m, int n, int k, double alpha, Operand a, Operand b, double beta, Operand c, int batch) {
        set(alpha, beta);
        library.call(
                "cublasDgemmBatched",
                () -> (int) dgemmBatched.invokeExact(
                        handle,
                        op(a),
                        op(b),
                        m,
                        n,
                        k,
                        scalar,
                        a.address(),
                        a.leading(),
                        b.address(),
                        b.leading(),
                        scalar + BETA,
                        c.address(),
                        c.leading(),
                        batch),
                BATCH_SIZES,
                m,
                n,
                k,
                a.leading(),
                b.leading(),
                c.leading(),
                batch);
    }

    /**
     * {@code C = alpha op(A) op(A)^T + beta C} in FP64, the lower triangle of the n x n matrix C only; op(A) is n x k.
     */
    public void dsyrk(int n, int k, double alpha, Operand a, double beta, Operand c) {
        set(alpha, beta);
        syrk("cublasDsyrk_v2", dsyrk, n, k, a, c);
    }

    /** {@link #dsyrk} in FP32. */
    public void ssyrk(int n, int k, float alpha, Operand a, float beta, Operand c) {
        set(alpha, beta);
        syrk("cublasSsyrk_v2", ssyrk, n, k, a, c);
    }

    private void syrk(String name, MethodHandle function, int n, int k, Operand a, Operand c) {
        library.call(
                name,
                () -> (int) function.invokeExact(
                        handle,
                        cublasFillMode.CUBLAS_FILL_MODE_LOWER,
                        op(a),
                        n,
                        k,
                        scalar,
                        a.address(),
                        a.leading(),
                        scalar + BETA,
                        c.address(),
                        c.leading()),
                SYRK_SIZES,
                n,
                k,
                a.leading(),
                c.leading());
    }

    /**
     * {@code X = X L^-T} for a batch: L lower triangular, n x n; X m x n. Their addresses lie on the device at {@code
     * l} and {@code x}.
     */
    void solveTransposedBatched(int m, int n, Operand l, Operand x, int batch) {
        set(1.0, 0.0);
        library.call(
                "cublasDtrsmBatched",
                () -> (int) dtrsmBatched.invokeExact(
                        handle,
                        cublasSideMode.CUBLAS_SIDE_RIGHT,
                        cublasFillMode.CUBLAS_FILL_MODE_LOWER,
                        cublasOperation.CUBLAS_OP_T,
                        cublasDiagType.CUBLAS_DIAG_NON_UNIT,
                        m,
                        n,
                        scalar,
                        l.address(),
                        l.leading(),
                        x.address(),
                        x.leading(),
                        batch),
                "m,n,lda,ldb,batch",
                m,
                n,
                l.leading(),
                x.leading(),
                batch);
    }

    /** {@link #sgemm} with A and B in BF16; sums and C are FP32. */
    public void gemmBf16(int m, int n, int k, float alpha, Operand a, Operand b, float beta, Operand c) {
        set(alpha, beta);
        int bf16 = cudaDataType.CUDA_R_16BF;
        library.call(
                "cublasGemmEx",
                () -> (int) gemmEx.invokeExact(
                        handle,
                        op(a),
                        op(b),
                        m,
                        n,
                        k,
                        scalar,
                        a.address(),
                        bf16,
                        a.leading(),
                        b.address(),
                        bf16,
                        b.leading(),
                        scalar + BETA,
                        c.address(),
                        cudaDataType.CUDA_R_32F,
                        c.leading(),
                        cublasComputeType.CUBLAS_COMPUTE_32F,
                        cublasGemmAlgo.CUBLAS_GEMM_DEFAULT),
                GEMM_SIZES,
                m,
                n,
                k,
                a.leading(),
                b.leading(),
                c.leading());
    }

    /** The library's version: 10,000 x major + 100 x minor + patch. */
    public int version() {
        MethodHandle get = library.function("cublasGetVersion_v2", WORD, WORD);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment version = arena.allocate(ValueLayout.JAVA_INT);
            long address = version.address();
            library.call("cublasGetVersion_v2", () -> (int) get.invokeExact(handle, address), "");
            return version.get(ValueLayout.JAVA_INT, 0);
        }
    }

    /** Gives the handle and the workspace back; calling it again does nothing. Any thread. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            device.runUnlessClosed(() -> {
                try {
                    library.destroy("cublasDestroy_v2", handle);
                } finally {
                    workspace.close();
                }
            });
        }
    }

    private long create() {
        try {
            return library.create("cublasCreate_v2");
        } catch (RuntimeException | Error e) {
            workspace.close();
            throw e;
        }
    }

    private void configure() {
        MethodHandle setWorkspace = library.function("cublasSetWorkspace_v2", WORD, WORD, WORD);
        MethodHandle setMathMode = library.function("cublasSetMathMode", WORD, INT);
        try {
            // In this order: a new stream makes cuBLAS forget the workspace.
            library.setStream("cublasSetStream_v2", handle, device.stream());
            library.call(
                    "cublasSetWorkspace_v2",
                    () -> (int) setWorkspace.invokeExact(handle, workspace.address(), workspace.bytes()),
                    "bytes",
                    workspace.bytes());
            library.call(
                    "cublasSetMathMode",
                    () -> (int) setMathMode.invokeExact(handle, cublasMath.CUBLAS_DEFAULT_MATH),
                    "");
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private MethodHandle gemm(String name) {
        return library.function(name, WORD, INT, INT, INT, INT, INT, WORD, WORD, INT, WORD, INT, WORD, WORD, INT);
    }

    private MethodHandle syrk(String name) {
        return library.function(name, WORD, INT, INT, INT, INT, WORD, WORD, INT, WORD, WORD, INT);
    }

    private void set(double alpha, double beta) {
        scalars.set(ValueLayout.JAVA_DOUBLE, 0, alpha);
        scalars.set(ValueLayout.JAVA_DOUBLE, BETA, beta);
    }

    private void set(float alpha, float beta) {
        scalars.set(ValueLayout.JAVA_FLOAT, 0, alpha);
        scalars.set(ValueLayout.JAVA_FLOAT, BETA, beta);
    }

    private static int op(Operand operand) {
        return operand.transposed() ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
    }
}
