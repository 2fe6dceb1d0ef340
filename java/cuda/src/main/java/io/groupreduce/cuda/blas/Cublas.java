package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Owned;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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

    private static final int LOWER = cublasFillMode.CUBLAS_FILL_MODE_LOWER;
    private static final String GEMM = "*handle op op #m #n #k *alpha *a #lda *b #ldb *beta *c #ldc";
    private static final String STRIDED =
            "*handle op op #m #n #k *alpha *a #lda *strideA *b #ldb *strideB *beta *c #ldc *strideC #batch";
    private static final String SYRK = "*handle fill op #n #k *alpha *a #lda *beta *c #ldc";

    private final Device device;
    private final Owned owned;
    private final NativeLibrary.Function dgemm;
    private final NativeLibrary.Function sgemm;
    private final NativeLibrary.Function dgemmBatched;
    private final NativeLibrary.Function dgemmStrided;
    private final NativeLibrary.Function sgemmStrided;
    private final NativeLibrary.Function dsyrk;
    private final NativeLibrary.Function ssyrk;
    private final NativeLibrary.Function dtrsmBatched;
    private final NativeLibrary.Function gemmEx;
    /** alpha and beta; cuBLAS has read them when a call returns. */
    private final MemorySegment scalars = Arena.ofAuto().allocate(2 * Double.BYTES, Double.BYTES);

    private final long alpha = scalars.address();
    private final long beta = alpha + Double.BYTES;
    private final long handle;

    /** Loads cuBLAS if need be and takes a handle. */
    public Cublas(Device device) {
        this.device = device;
        NativeLibrary library = new NativeLibrary("cuBLAS", device.libraries().blas(), cublasStatus::stringFor);
        dgemm = library.function("cublasDgemm_v2", GEMM);
        sgemm = library.function("cublasSgemm_v2", GEMM);
        dgemmBatched = library.function("cublasDgemmBatched", GEMM + " #batch");
        dgemmStrided = library.function("cublasDgemmStridedBatched", STRIDED);
        sgemmStrided = library.function("cublasSgemmStridedBatched", STRIDED);
        dsyrk = library.function("cublasDsyrk_v2", SYRK);
        ssyrk = library.function("cublasSsyrk_v2", SYRK);
        dtrsmBatched = library.function(
                "cublasDtrsmBatched", "*handle side fill op diagonal #m #n *alpha *a #lda *b #ldb #batch");
        gemmEx = library.function(
                "cublasGemmEx",
                "*handle op op #m #n #k *alpha *a type #lda *b type #ldb *beta *c type #ldc compute algorithm");
        long bytes = device.properties().computeMajor() >= HOPPER ? WORKSPACE_HOPPER : WORKSPACE;
        owned = new Owned(device);
        try {
            DeviceMemory workspace = owned.allocate(bytes, "cuBLAS's workspace");
            handle = library.create("cublasCreate_v2", "cublasDestroy_v2", owned);
            // In this order: a new stream makes cuBLAS forget the workspace.
            library.function("cublasSetStream_v2", "*handle *stream")
                    .call(handle, device.stream().handle());
            library.function("cublasSetWorkspace_v2", "*handle *workspace *#bytes")
                    .call(handle, workspace.address(), bytes);
            library.function("cublasSetMathMode", "*handle mode").call(handle, cublasMath.CUBLAS_DEFAULT_MATH);
        } catch (Throwable e) {
            owned.closeAfter(e);
            throw e;
        }
    }

    /**
     * {@code C = alpha op(A) op(B) + beta C} in FP64; op(A) is m x k, op(B) k x n, C m x n. C is not read when beta is 0.
     */
    public void dgemm(int m, int n, int k, double alpha, Operand a, Operand b, double beta, Operand c) {
        set(alpha, beta);
        dgemm.call(handle, op(a), op(b), m, n, k, this.alpha, a, b, this.beta, c);
    }

    /** {@link #dgemm} in FP32. */
    public void sgemm(int m, int n, int k, float alpha, Operand a, Operand b, float beta, Operand c) {
        set(alpha, beta);
        sgemm.call(handle, op(a), op(b), m, n, k, this.alpha, a, b, this.beta, c);
    }

    /** Row-major in FP32: {@code C = A B}, A rows x inner, B inner x columns; all rows lie close. */
    public void product(int rows, int columns, int inner, long a, long b, long c) {
        sgemm(columns, rows, inner, 1, Operand.of(b, columns), Operand.of(a, inner), 0, Operand.of(c, columns));
    }

    /** Row-major in FP32: {@code C = A B^T}, A rows x inner, B columns x inner; all rows lie close. */
    public void productTransposed(int rows, int columns, int inner, long a, long b, long c) {
        sgemm(columns, rows, inner, 1, Operand.transposed(b, inner), Operand.of(a, inner), 0, Operand.of(c, columns));
    }

    /** {@link #dgemm} of {@code batch} matrices each. */
    void dgemmBatched(int m, int n, int k, double alpha, Operand a, Operand b, double beta, Operand c, int batch) {
        set(alpha, beta);
        dgemmBatched.call(handle, op(a), op(b), m, n, k, this.alpha, a, b, this.beta, c, batch);
    }

    /**
     * {@code C = op(A) op(B)} of {@code batch} matrices each, in FP64 or FP32.
     *
     * @param strideA numbers from an A to the next, likewise the others
     */
    public void productsStrided(
            boolean fp64,
            int m,
            int n,
            int k,
            Operand a,
            long strideA,
            Operand b,
            long strideB,
            Operand c,
            long strideC,
            int batch) {
        Object[] left = {a, strideA};
        Object[] right = {b, strideB};
        Object[] result = {c, strideC, batch};
        if (fp64) {
            set(1.0, 0.0);
            dgemmStrided.call(handle, op(a), op(b), m, n, k, alpha, left, right, beta, result);
        } else {
            set(1f, 0f);
            sgemmStrided.call(handle, op(a), op(b), m, n, k, alpha, left, right, beta, result);
        }
    }

    /**
     * {@code C = alpha op(A) op(A)^T + beta C} in FP64, the lower triangle of the n x n matrix C only; op(A) is n x k.
     */
    public void dsyrk(int n, int k, double alpha, Operand a, double beta, Operand c) {
        set(alpha, beta);
        dsyrk.call(handle, LOWER, op(a), n, k, this.alpha, a, this.beta, c);
    }

    /** {@link #dsyrk} in FP32. */
    public void ssyrk(int n, int k, float alpha, Operand a, float beta, Operand c) {
        set(alpha, beta);
        ssyrk.call(handle, LOWER, op(a), n, k, this.alpha, a, this.beta, c);
    }

    /**
     * {@code X = X L^-T} for a batch: L lower triangular, n x n; X m x n. Their addresses lie on the device at {@code
     * l} and {@code x}.
     */
    void solveTransposedBatched(int m, int n, Operand l, Operand x, int batch) {
        set(1.0, 0.0);
        int side = cublasSideMode.CUBLAS_SIDE_RIGHT;
        int transposed = cublasOperation.CUBLAS_OP_T;
        int diagonal = cublasDiagType.CUBLAS_DIAG_NON_UNIT;
        dtrsmBatched.call(handle, side, LOWER, transposed, diagonal, m, n, alpha, l, x, batch);
    }

    /** {@link #sgemm} with A and B in BF16; sums and C are FP32. */
    public void gemmBf16(int m, int n, int k, float alpha, Operand a, Operand b, float beta, Operand c) {
        set(alpha, beta);
        int bf16 = cudaDataType.CUDA_R_16BF;
        Object[] left = {a.address(), bf16, a.leading()};
        Object[] right = {b.address(), bf16, b.leading()};
        Object[] result = {c.address(), cudaDataType.CUDA_R_32F, c.leading()};
        Object[] how = {cublasComputeType.CUBLAS_COMPUTE_32F, cublasGemmAlgo.CUBLAS_GEMM_DEFAULT};
        gemmEx.call(handle, op(a), op(b), m, n, k, this.alpha, left, right, this.beta, result, how);
    }

    /** Gives the handle and the workspace back; calling it again does nothing. Any thread. */
    @Override
    public void close() {
        device.runUnlessClosed(owned::close);
    }

    private void set(double first, double second) {
        scalars.set(ValueLayout.JAVA_DOUBLE, 0, first);
        scalars.set(ValueLayout.JAVA_DOUBLE, Double.BYTES, second);
    }

    private void set(float first, float second) {
        scalars.set(ValueLayout.JAVA_FLOAT, 0, first);
        scalars.set(ValueLayout.JAVA_FLOAT, Double.BYTES, second);
    }

    private static int op(Operand operand) {
        return operand.transposed() ? cublasOperation.CUBLAS_OP_T : cublasOperation.CUBLAS_OP_N;
    }
}
