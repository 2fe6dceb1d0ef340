package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import java.lang.ref.Reference;
import jcuda.driver.CUresult;

/** A kernel of ours, by its name. From {@link Device#kernel}; lives as long as the device. */
public final class Kernel {
    // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES.
    private static final int MAX_DYNAMIC_SHARED = 8;

    private final DriverContext context;
    private final String name;
    private final Handles.Function function;
    private int granted;

    Kernel(DriverContext context, String name, Handles.Function function) {
        this.context = context;
        this.name = name;
        this.function = function;
    }

    /** Queues one run on the device's stream: blocks along x, at least 1, and threads of a block. */
    public void launch(long blocks, int threads, Parameters parameters) {
        launch(context.stream(), Math.toIntExact(blocks), 1, threads, 0, parameters);
    }

    /**
     * Queues one run.
     *
     * @param gridX blocks along x, at least 1
     * @param gridY blocks along y, from 1 to 65,535
     * @param blockX threads of a block, at most what the kernel was declared for
     * @param sharedBytes dynamic shared memory of a block; may exceed 48 KiB where the card allows it
     * @param parameters the kernel's structure; a copy is taken
     * @throws DeviceException if the driver refuses
     */
    public void launch(Stream stream, int gridX, int gridY, int blockX, int sharedBytes, Parameters parameters) {
        if (sharedBytes > granted) {
            int code = context.calls().functionAttribute(function.value(), MAX_DYNAMIC_SHARED, sharedBytes);
            Status.check(code, "asking for " + sharedBytes + " bytes of shared memory for the kernel " + name);
            granted = sharedBytes;
        }
        int code = context.calls()
                .launch(function.value(), gridX, gridY, blockX, sharedBytes, stream.handle(), parameters.extra());
        Reference.reachabilityFence(parameters);
        if (code == CUresult.CUDA_ERROR_INVALID_VALUE) {
            throw new DeviceException("The GPU refused to start the kernel " + name + " (" + Status.name(code)
                    + ") on a grid of " + gridX + " x " + gridY + " blocks of " + blockX + " threads with "
                    + parameters.bytes()
                    + " bytes of parameters; build the project again if the kernel file and the jar"
                    + " are not of the same version.");
        }
        if (code != CUresult.CUDA_SUCCESS) {
            throw Status.failure(code, "starting the kernel " + name);
        }
    }
}
