package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.WorkMemory;
import io.groupreduce.error.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jcuda.cudaDataType;
import jcuda.jcublas.cublasFillMode;
import jcuda.jcusolver.cusolverEigMode;
import jcuda.jcusolver.cusolverStatus;

/**
 * cuSOLVER on a device's stream: symmetric eigenproblems and Cholesky factors, in FP64, column-major, lower triangles.
 * Every status is checked, and every {@code info} is read back.
 *
 * <p>Eigenproblems of a batch go to {@code cusolverDnXsyevBatched} where the library has it (CUDA 12.6 update 2), else
 * one after the other to {@code cusolverDnXsyevd}. The former's first versions are wrong unless their workspace comes
 * zeroed, so it always does.
 *
 * <p>Used on the device's thread, and closed before the device is.
 */
final class Cusolver implements AutoCloseable {
    private static final String XSYEV_BATCHED = "cusolverDnXsyevBatched";

    /** Matrices this large fill the card one by one. */
    private static final int LARGEST_BATCHED = 1024;

    /** Room for the results of many small batches. */
    private static final long LEAST_INFO_BYTES = 1024;

    private static final int VECTORS = cusolverEigMode.CUSOLVER_EIG_MODE_VECTOR;
    private static final int LOWER = cublasFillMode.CUBLAS_FILL_MODE_LOWER;
    private static final int FP64 = cudaDataType.CUDA_R_64F;

    private static final String PROBLEM = "*handle *params mode fill *#n type *a *lda type *values type ";

    /** A solver of one problem or of a batch, and what tells the workspaces it needs. */
    private record Solver(String name, NativeLibrary.Function bytes, NativeLibrary.Function solve, boolean batched) {
        static Solver of(NativeLibrary library, String name, boolean batched) {
            String batch = batched ? " *#batch" : "";
            return new Solver(
                    name,
                    library.function(name + "_bufferSize", PROBLEM + "*bytes *hostBytes" + batch),
                    library.function(name, PROBLEM + "*workspace *bytes *host *hostBytes *info" + batch),
                    batched);
        }
    }

    private final Device device;
    private final Owned owned;
    private final Solver single;
    private final Solver batched;
    private final NativeLibrary.Function potrfBatched;
    /** What the bufferSize functions answer: bytes on the device, bytes on the host. */
    private final MemorySegment answers = Arena.ofAuto().allocate(2 * Long.BYTES, Long.BYTES);

    private final long handle;
    private final long params;
    private final WorkMemory workspace;
    private final WorkMemory info;
    private MemorySegment hostWorkspace = MemorySegment.NULL;

    /**
     * Loads cuSOLVER if need be and takes a handle.
     *
     * @param batchedAllowed false to do without {@code cusolverDnXsyevBatched} as an older library must
     */
    Cusolver(Device device, boolean batchedAllowed) {
        this.device = device;
        NativeLibrary library = new NativeLibrary("cuSOLVER", device.libraries().solver(), cusolverStatus::stringFor);
        single = Solver.of(library, "cusolverDnXsyevd", false);
        potrfBatched = library.function("cusolverDnDpotrfBatched", "*handle fill #n *a lda *info #batch");
        batched = batchedAllowed && library.has(XSYEV_BATCHED) ? Solver.of(library, XSYEV_BATCHED, true) : null;
        owned = new Owned(device);
        try {
            workspace = owned.work("cuSOLVER's workspace");
            info = owned.add(new WorkMemory(device, "cuSOLVER's results"));
            handle = library.create("cusolverDnCreate", "cusolverDnDestroy", owned);
            library.function("cusolverDnSetStream", "*handle *stream")
                    .call(handle, device.stream().handle());
            params = library.create("cusolverDnCreateParams", "cusolverDnDestroyParams", owned);
        } catch (Throwable e) {
            owned.closeAfter(e);
            throw e;
        }
    }

    /**
     * All eigenpairs of matrices one behind the other.
     *
     * @param order n
     * @param matrices {@code count} n x n matrices, lower triangles; column j becomes the unit eigenvector of value j
     * @param values {@code count} times n, ascending
     * @throws DeviceException also when one does not converge
     */
    void eigen(int order, long matrices, long values, int count) {
        if (batched != null && count > 1 && order <= LARGEST_BATCHED) {
            solve(batched, order, matrices, values, count);
            return;
        }
        for (long b = 0; b < count; b++) {
            solve(single, order, matrices + b * order * order * Double.BYTES, values + b * order * Double.BYTES, 1);
        }
    }

    private void solve(Solver solver, int order, long matrices, long values, int count) {
        Object[] problem = {handle, params, VECTORS, LOWER, order, FP64, matrices, order, FP64, values, FP64};
        Object[] batch = solver.batched() ? new Object[] {count} : new Object[] {};
        solver.bytes().call(problem, answers.address(), answers.address() + Long.BYTES, batch);
        if (count > 1 && answer(0) > device.availableMemory() + workspace.bytes()) {
            long half = count / 2;
            eigen(order, matrices, values, count / 2);
            eigen(
                    order,
                    matrices + half * order * order * Double.BYTES,
                    values + half * order * Double.BYTES,
                    count - count / 2);
            return;
        }
        reserve(count);
        Object[] host = {hostWorkspace.address(), hostWorkspace.byteSize()};
        solver.solve().call(problem, workspace.address(), workspace.bytes(), host, info.address(), batch);
        int[] infos = readInfo(count);
        for (int b = 0; b < count; b++) {
            if (infos[b] != 0) {
                throw new DeviceException(solver.name() + " did not converge for matrix " + b + " of " + count
                        + " of order " + order + " (info " + infos[b]
                        + "); look for extreme values in the matrix and the counts, or use --device cpu.");
            }
        }
    }

    /**
     * Cholesky factors {@code S = L L^T}; the upper triangles are destroyed.
     *
     * @param order n
     * @param addresses where on the device the addresses of the {@code count} n x n matrices lie
     * @return per matrix 0, or which leading minor is not positive
     */
    int[] cholesky(int order, long addresses, int count) {
        reserveInfo(count);
        potrfBatched.call(handle, LOWER, order, addresses, order, info.address(), count);
        return readInfo(count);
    }

    /** Gives the workspace back; the next call takes one again. */
    void release() {
        owned.release();
    }

    /** Gives everything back; calling it again does nothing. Any thread. */
    @Override
    public void close() {
        device.runUnlessClosed(owned::close);
    }

    /** Makes the workspaces as large as was answered, and zero. */
    private void reserve(int count) {
        reserveInfo(count);
        long bytes = Math.max(answer(0), 1);
        long address = workspace.atLeast(bytes);
        if (hostWorkspace.byteSize() < answer(1)) {
            hostWorkspace = Arena.ofAuto().allocate(answer(1), Double.BYTES);
        }
        device.stream().clear(address, bytes);
    }

    private void reserveInfo(int count) {
        info.reserve(Math.max((long) count * Integer.BYTES, LEAST_INFO_BYTES));
    }

    private int[] readInfo(int count) {
        int[] infos = new int[count];
        device.download(info.memory(), 0, MemorySegment.ofArray(infos));
        return infos;
    }

    private long answer(int i) {
        return answers.getAtIndex(ValueLayout.JAVA_LONG, i);
    }
}
