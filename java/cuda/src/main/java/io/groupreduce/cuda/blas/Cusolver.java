package io.groupreduce.cuda.blas;

import static io.groupreduce.cuda.blas.NativeLibrary.INT;
import static io.groupreduce.cuda.blas.NativeLibrary.WORD;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Scratch;
import io.groupreduce.error.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
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

    private final Device device;
    private final NativeLibrary library;
    private final MethodHandle syevd;
    private final MethodHandle syevdBytes;
    private final MethodHandle batched;
    private final MethodHandle batchedBytes;
    private final MethodHandle potrfBatched;
    /** What the bufferSize functions answer: bytes on the device, bytes on the host. */
    private final MemorySegment answers = Arena.ofAuto().allocate(2 * Long.BYTES, Long.BYTES);

    private final long handle;
    private final long params;
    private final Scratch workspace;
    private final Scratch info;
    private MemorySegment hostWorkspace = MemorySegment.NULL;
    private boolean closed;

    /**
     * Loads cuSOLVER if need be and takes a handle.
     *
     * @param batchedAllowed false to do without {@code cusolverDnXsyevBatched} as an older library must
     */
    Cusolver(Device device, boolean batchedAllowed) {
        this.device = device;
        workspace = new Scratch(device, "cuSOLVER's workspace");
        info = new Scratch(device, "cuSOLVER's results");
        library = new NativeLibrary("cuSOLVER", device.libraries().solver(), cusolverStatus::stringFor);
        syevd = eigenproblem("cusolverDnXsyevd", WORD, WORD, WORD, WORD, WORD);
        syevdBytes = eigenproblem("cusolverDnXsyevd_bufferSize", WORD, WORD);
        potrfBatched = library.function("cusolverDnDpotrfBatched", WORD, INT, INT, WORD, INT, WORD, INT);
        boolean hasBatched = batchedAllowed && library.has(XSYEV_BATCHED);
        batched = hasBatched ? eigenproblem(XSYEV_BATCHED, WORD, WORD, WORD, WORD, WORD, WORD) : null;
        batchedBytes = hasBatched ? eigenproblem(XSYEV_BATCHED + "_bufferSize", WORD, WORD, WORD) : null;
        handle = library.create("cusolverDnCreate");
        params = createParams();
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
        if (batched == null || count == 1 || order > LARGEST_BATCHED) {
            for (int b = 0; b < count; b++) {
                single(
                        order,
                        matrices + (long) b * order * order * Double.BYTES,
                        values + (long) b * order * Double.BYTES);
            }
            return;
        }
        library.call(
                XSYEV_BATCHED + "_bufferSize",
                () -> (int) batchedBytes.invokeExact(
                        handle,
                        params,
                        VECTORS,
                        LOWER,
                        (long) order,
                        FP64,
                        matrices,
                        (long) order,
                        FP64,
                        values,
                        FP64,
                        answers.address(),
                        answers.address() + Long.BYTES,
                        (long) count),
                "n,batch",
                order,
                count);
        if (answer(0) > room()) {
            int half = count / 2;
            eigen(order, matrices, values, half);
            eigen(
                    order,
                    matrices + (long) half * order * order * Double.BYTES,
                    values + (long) half * order * Double.BYTES,
                    count - half);
            return;
        }
        reserve(count);
        library.call(
                XSYEV_BATCHED,
                () -> (int) batched.invokeExact(
                        handle,
                        params,
                        VECTORS,
                        LOWER,
                        (long) order,
                        FP64,
                        matrices,
                        (long) order,
                        FP64,
                        values,
                        FP64,
                        workspace.atLeast(0),
                        workspace.bytes(),
                        hostWorkspace.address(),
                        hostWorkspace.byteSize(),
                        info.atLeast(0),
                        (long) count),
                "n,batch",
                order,
                count);
        requireConverged(XSYEV_BATCHED, order, readInfo(count));
    }

    /**
     * Cholesky factors {@code S = L L^T}; the upper triangles are destroyed.
     *
     * @param order n
     * @param addresses where on the device the addresses of the {@code count} n x n matrices lie
     * @return per matrix 0, or which leading minor is not positive
     */
    int[] cholesky(int order, long addresses, int count) {
        long infos = reserveInfo(count);
        library.call(
                "cusolverDnDpotrfBatched",
                () -> (int) potrfBatched.invokeExact(handle, LOWER, order, addresses, order, infos, count),
                "n,batch",
                order,
                count);
        return readInfo(count);
    }

    /** Gives the workspace back; the next call takes one again. */
    void release() {
        workspace.close();
    }

    /** Gives everything back; calling it again does nothing. Any thread. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            device.runUnlessClosed(this::free);
        }
    }

    private void single(int order, long matrix, long values) {
        library.call(
                "cusolverDnXsyevd_bufferSize",
                () -> (int) syevdBytes.invokeExact(
                        handle,
                        params,
                        VECTORS,
                        LOWER,
                        (long) order,
                        FP64,
                        matrix,
                        (long) order,
                        FP64,
                        values,
                        FP64,
                        answers.address(),
                        answers.address() + Long.BYTES),
                "n",
                order);
        reserve(1);
        library.call(
                "cusolverDnXsyevd",
                () -> (int) syevd.invokeExact(
                        handle,
                        params,
                        VECTORS,
                        LOWER,
                        (long) order,
                        FP64,
                        matrix,
                        (long) order,
                        FP64,
                        values,
                        FP64,
                        workspace.atLeast(0),
                        workspace.bytes(),
                        hostWorkspace.address(),
                        hostWorkspace.byteSize(),
                        info.atLeast(0)),
                "n",
                order);
        requireConverged("cusolverDnXsyevd", order, readInfo(1));
    }

    private static void requireConverged(String function, int order, int[] infos) {
        for (int b = 0; b < infos.length; b++) {
            if (infos[b] != 0) {
                throw new DeviceException(function + " did not converge for matrix " + b + " of " + infos.length
                        + " of order " + order + " (info " + infos[b]
                        + "); look for extreme values in the matrix and the counts, or use --device cpu.");
            }
        }
    }

    /** Bytes that a workspace may have. */
    private long room() {
        return device.availableMemory() + workspace.bytes();
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

    private long reserveInfo(int count) {
        return info.atLeast(Math.max((long) count * Integer.BYTES, LEAST_INFO_BYTES));
    }

    private int[] readInfo(int count) {
        int[] infos = new int[count];
        info.download(MemorySegment.ofArray(infos));
        return infos;
    }

    private long answer(int i) {
        return answers.getAtIndex(ValueLayout.JAVA_LONG, i);
    }

    /** A function whose arguments begin with handle, parameters, what is wanted, order, matrix, values and their types. */
    private MethodHandle eigenproblem(String name, MemoryLayout... others) {
        List<MemoryLayout> arguments =
                new ArrayList<>(List.of(WORD, WORD, INT, INT, WORD, INT, WORD, WORD, INT, WORD, INT));
        arguments.addAll(List.of(others));
        return library.function(name, arguments.toArray(MemoryLayout[]::new));
    }

    private long createParams() {
        try {
            library.setStream("cusolverDnSetStream", handle, device.stream());
            return library.create("cusolverDnCreateParams");
        } catch (RuntimeException | Error e) {
            library.destroy("cusolverDnDestroy", handle);
            throw e;
        }
    }

    private void free() {
        try {
            workspace.close();
            info.close();
            library.destroy("cusolverDnDestroyParams", params);
        } finally {
            library.destroy("cusolverDnDestroy", handle);
        }
    }
}
