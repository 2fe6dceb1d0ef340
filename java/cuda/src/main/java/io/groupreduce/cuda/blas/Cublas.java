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
 * is not success becomes a {@link io.groupreduce.DeviceException} that names the call and its sizes.
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
    private static final String TRSM_SIZES = "m,n,lda,ldb";

    private final Device device;
    private final NativeLibrary library;
    private final MethodHandle dgemm;
    private final MethodHandle sgemm;
    private final MethodHandle dgemmStrided;
    private final MethodHandle sgemmStrided;
    private final MethodHandle dgemmBatched;
    private final MethodHandle dsyrk;
    private final MethodHandle ssyrk;
    private final MethodHandle dtrsm;
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
        dgemmStrided = strided("cublasDgemmStridedBatched");
        sgemmStrided = strided("cublasSgemmStridedBatched");
        dgemmBatched = library.function(
                "cublasDgemmBatched", WORD, INT, INT, INT, INT, INT, WORD, WORD, INT, WORD, INT, WORD, WORD, INT, INT);
        dsyrk = syrk("cublasDsyrk_v2");
        ssyrk = syrk("cublasSsyrk_v2");
        dtrsm = library.function("cublasDtrsm_v2", WORD, INT, INT, INT, INT, INT, INT, WORD, WORD, INT, WORD, INT);
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

    /** {@code C = alpha op(A) op(B) + beta C} in FP64; op(A) is m x k, op(B) k x n. C is not read when beta is 0. */
    public void dgemm(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            double alpha,
            long a,
            int lda,
            long b,
            int ldb,
            double beta,
            long c,
            int ldc) {
        set(alpha, beta);
        library.call(
                "cublasDgemm_v2",
                () -> (int) dgemm.invokeExact(
                        handle, op(transA), op(transB), m, n, k, scalar, a, lda, b, ldb, scalar + BETA, c, ldc),
                GEMM_SIZES,
                m,
                n,
                k,
                lda,
                ldb,
                ldc);
    }

    /** {@link #dgemm} in FP32. */
    public void sgemm(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            float alpha,
            long a,
            int lda,
            long b,
            int ldb,
            float beta,
            long c,
            int ldc) {
        set(alpha, beta);
        library.call(
                "cublasSgemm_v2",
                () -> (int) sgemm.invokeExact(
                        handle, op(transA), op(transB), m, n, k, scalar, a, lda, b, ldb, scalar + BETA, c, ldc),
                GEMM_SIZES,
                m,
                n,
                k,
                lda,
                ldb,
                ldc);
    }

    /** {@link #dgemm} of {@code batch} matrices each. */
    public void dgemmStridedBatched(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            double alpha,
            Strided a,
            Strided b,
            double beta,
            Strided c,
            int batch) {
        set(alpha, beta);
        library.call(
                "cublasDgemmStridedBatched",
                () -> (int) dgemmStrided.invokeExact(
                        handle,
                        op(transA),
                        op(transB),
                        m,
                        n,
                        k,
                        scalar,
                        a.address(),
                        a.leading(),
                        a.stride(),
                        b.address(),
                        b.leading(),
                        b.stride(),
                        scalar + BETA,
                        c.address(),
                        c.leading(),
                        c.stride(),
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

    /** {@link #dgemmStridedBatched} in FP32. */
    public void sgemmStridedBatched(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            float alpha,
            Strided a,
            Strided b,
            float beta,
            Strided c,
            int batch) {
        set(alpha, beta);
        library.call(
                "cublasSgemmStridedBatched",
                () -> (int) sgemmStrided.invokeExact(
                        handle,
                        op(transA),
                        op(transB),
                        m,
                        n,
                        k,
                        scalar,
                        a.address(),
                        a.leading(),
                        a.stride(),
                        b.address(),
                        b.leading(),
                        b.stride(),
                        scalar + BETA,
                        c.address(),
                        c.leading(),
                        c.stride(),
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
     * {@link #dgemm} of {@code batch} matrices each, whose addresses lie on the device at {@code a}, {@code b} and
     * {@code c}.
     */
    void dgemmBatched(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            double alpha,
            long a,
            int lda,
            long b,
            int ldb,
            double beta,
            long c,
            int ldc,
            int batch) {
        set(alpha, beta);
        library.call(
                "cublasDgemmBatched",
                () -> (int) dgemmBatched.invokeExact(
                        handle, op(transA), op(transB), m, n, k, scalar, a, lda, b, ldb, scalar + BETA, c, ldc, batch),
                BATCH_SIZES,
                m,
                n,
                k,
                lda,
                ldb,
                ldc,
                batch);
    }

    /**
     * {@code C = alpha op(A) op(A)^T + beta C} in FP64, the lower triangle of the n x n matrix C only; op(A) is n x k.
     */
    public void dsyrk(boolean transA, int n, int k, double alpha, long a, int lda, double beta, long c, int ldc) {
        set(alpha, beta);
        library.call(
                "cublasDsyrk_v2",
                () -> (int) dsyrk.invokeExact(
                        handle,
                        cublasFillMode.CUBLAS_FILL_MODE_LOWER,
                        op(transA),
                        n,
                        k,
                        scalar,
                        a,
                        lda,
                        scalar + BETA,
                        c,
                        ldc),
                SYRK_SIZES,
                n,
                k,
                lda,
                ldc);
    }

    /** {@link #dsyrk} in FP32. */
    public void ssyrk(boolean transA, int n, int k, float alpha, long a, int lda, float beta, long c, int ldc) {
        set(alpha, beta);
        library.call(
                "cublasSsyrk_v2",
                () -> (int) ssyrk.invokeExact(
                        handle,
                        cublasFillMode.CUBLAS_FILL_MODE_LOWER,
                        op(transA),
                        n,
                        k,
                        scalar,
                        a,
                        lda,
                        scalar + BETA,
                        c,
                        ldc),
                SYRK_SIZES,
                n,
                k,
                lda,
                ldc);
    }

    /**
     * {@code B = alpha op(A)^-1 B} when {@code left}, else {@code B = alpha B op(A)^-1}, in FP64; A is the lower
     * triangle of a square matrix, B is m x n.
     */
    public void dtrsm(boolean left, boolean transA, int m, int n, double alpha, long a, int lda, long b, int ldb) {
        set(alpha, 0.0);
        int side = left ? cublasSideMode.CUBLAS_SIDE_LEFT : cublasSideMode.CUBLAS_SIDE_RIGHT;
        library.call(
                "cublasDtrsm_v2",
                () -> (int) dtrsm.invokeExact(
                        handle,
                        side,
                        cublasFillMode.CUBLAS_FILL_MODE_LOWER,
                        op(transA),
                        cublasDiagType.CUBLAS_DIAG_NON_UNIT,
                        m,
                        n,
                        scalar,
                        a,
                        lda,
                        b,
                        ldb),
                TRSM_SIZES,
                m,
                n,
                lda,
                ldb);
    }

    /**
     * {@code X = X L^-T} for a batch: L lower triangular, n x n; X m x n. Their addresses lie on the device at {@code
     * l} and {@code x}.
     */
    void solveTransposedBatched(int m, int n, long l, int ldl, long x, int ldx, int batch) {
        set(1.0, 0.0);
        library.call(
                "cublasDtrsmBatched",
                () -> (int) dtrsmBatched.invokeExact(
                        handle,
                        cublasSideMode.CUBLAS_SIDE_RIGHT,
                        cublasFillMode.CUBLAS_FILL_MODE_LOWER,
                        op(true),
                        cublasDiagType.CUBLAS_DIAG_NON_UNIT,
                        m,
                        n,
                        scalar,
                        l,
                        ldl,
                        x,
                        ldx,
                        batch),
                "m,n,lda,ldb,batch",
                m,
                n,
                ldl,
                ldx,
                batch);
    }

    /** {@link #sgemm} with A and B in BF16; sums and C are FP32. */
    public void gemmBf16(
            boolean transA,
            boolean transB,
            int m,
            int n,
            int k,
            float alpha,
            long a,
            int lda,
            long b,
            int ldb,
            float beta,
            long c,
            int ldc) {
        set(alpha, beta);
        int bf16 = cudaDataType.CUDA_R_16BF;
        library.call(
                "cublasGemmEx",
                () -> (int) gemmEx.invokeExact(
                        handle,
                        op(transA),
                        op(transB),
                        m,
                        n,
                        k,
                        scalar,
                        a,
                        bf16,
                        lda,
                        b,
                        bf16,
                        ldb,
                        scalar + BETA,
                        c,
                        cudaDataType.CUDA_R_32F,
                        ldc,
                        cublasComputeType.CUBLAS_COMPUTE_32F,
                        cublasGemmAlgo.CUBLAS_GEMM_DEFAULT),
                GEMM_SIZES,
                m,
                n,
                k,
                lda,
                ldb,
                ldc);
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
                    destroy();
                } finally {
                    workspace.close();
                }
            });
        }
    }

    private long create() {
        MethodHandle create = library.function("cublasCreate_v2", WORD);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment made = arena.allocate(ValueLayout.JAVA_LONG);
            long address = made.address();
            library.call("cublasCreate_v2", () -> (int) create.invokeExact(address), "");
            return made.get(ValueLayout.JAVA_LONG, 0);
        } catch (RuntimeException | Error e) {
            workspace.close();
            throw e;
        }
    }

    private void configure() {
        MethodHandle setStream = library.function("cublasSetStream_v2", WORD, WORD);
        MethodHandle setWorkspace = library.function("cublasSetWorkspace_v2", WORD, WORD, WORD);
        MethodHandle setMathMode = library.function("cublasSetMathMode", WORD, INT);
        long stream = device.stream().handle();
        try {
            // In this order: a new stream makes cuBLAS forget the workspace.
            library.call("cublasSetStream_v2", () -> (int) setStream.invokeExact(handle, stream), "");
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

    private void destroy() {
        MethodHandle destroy = library.function("cublasDestroy_v2", WORD);
        library.call("cublasDestroy_v2", () -> (int) destroy.invokeExact(handle), "");
    }

    private MethodHandle gemm(String name) {
        return library.function(name, WORD, INT, INT, INT, INT, INT, WORD, WORD, INT, WORD, INT, WORD, WORD, INT);
    }

    private MethodHandle strided(String name) {
        return library.function(
                name, WORD, INT, INT, INT, INT, INT, WORD, WORD, INT, WORD, WORD, INT, WORD, WORD, WORD, INT, WORD,
                INT);
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

    private static int op(boolean transposed) {
        return transposed ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
    }
}
