package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import jcuda.driver.CUresult;

/** Turns the driver's status codes into exceptions; no call of the driver goes without it. */
public final class Status {
    private Status() {}

    /**
     * Passes when the code is success.
     *
     * @param doing what was being done, to follow "The GPU failed while"
     * @throws DeviceException naming the status and what to do, otherwise
     */
    public static void check(int code, String doing) {
        if (code != CUresult.CUDA_SUCCESS) {
            throw failure(code, doing);
        }
    }

    /** The exception of a code that is not success. Launching and loading kernels take memory too. */
    static DeviceException failure(int code, String doing) {
        String message = "The GPU failed while " + doing + " (" + name(code) + "); " + advice(code) + ".";
        return code == CUresult.CUDA_ERROR_OUT_OF_MEMORY
                ? new OutOfDeviceMemoryException(message, 0)
                : new DeviceException(message);
    }

    /** The driver's name of a code. */
    static String name(int code) {
        return CUresult.stringFor(code);
    }

    /** What to do about a code. */
    static String advice(int code) {
        return switch (code) {
            case CUresult.CUDA_ERROR_OUT_OF_MEMORY -> "free memory on the card, or work on a smaller matrix or batch";
            case CUresult.CUDA_ERROR_NO_DEVICE, CUresult.CUDA_ERROR_INVALID_DEVICE ->
                "see 'nvidia-smi' and CUDA_VISIBLE_DEVICES for the cards that can be used";
            case CUresult.CUDA_ERROR_STUB_LIBRARY ->
                "libcuda.so.1 is the toolkit's stub: put the driver's own before it on LD_LIBRARY_PATH";
            case CUresult.CUDA_ERROR_DEVICE_UNAVAILABLE ->
                "another process holds the card exclusively: wait for it or take another card";
            case CUresult.CUDA_ERROR_SYSTEM_NOT_READY -> "start nvidia-fabricmanager on this machine";
            case CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, CUresult.CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE ->
                "the NVIDIA driver's parts do not fit together: restart the machine or install the driver anew";
            case CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU ->
                "the kernels were compiled for other cards: the card needs compute capability 8.0 or newer, and a build without"
                        + " GROUPREDUCE_ARCHITECTURES holds code for all of them";
            case CUresult.CUDA_ERROR_INVALID_PTX, CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION ->
                "the driver is older than the CUDA toolkit that compiled the kernels, which hold no machine code for so new a card: update"
                        + " the driver";
            case CUresult.CUDA_ERROR_JIT_COMPILER_NOT_FOUND, CUresult.CUDA_ERROR_JIT_COMPILATION_DISABLED ->
                "the card is newer than the kernels, and the driver may not compile them: install all of the driver"
                        + " (libnvidia-ptxjitcompiler.so.1) and unset CUDA_DISABLE_PTX_JIT";
            case CUresult.CUDA_ERROR_INVALID_IMAGE, CUresult.CUDA_ERROR_NOT_FOUND ->
                "the kernel file is not of this version, or newer than the driver: build the project again, or update"
                        + " the driver";
            case CUresult.CUDA_ERROR_ECC_UNCORRECTABLE, CUresult.CUDA_ERROR_NVLINK_UNCORRECTABLE ->
                "the card reports a hardware fault and this process can no longer use it: see 'nvidia-smi -q', and reset the card or take another";
            case CUresult.CUDA_ERROR_UNKNOWN,
                    CUresult.CUDA_ERROR_OPERATING_SYSTEM,
                    CUresult.CUDA_ERROR_EXTERNAL_DEVICE ->
                "the card may be lost: see 'nvidia-smi' and the kernel's log for Xid messages, and restart the machine or use --device cpu";
            case CUresult.CUDA_ERROR_MPS_CONNECTION_FAILED,
                    CUresult.CUDA_ERROR_MPS_RPC_FAILURE,
                    CUresult.CUDA_ERROR_MPS_SERVER_NOT_READY,
                    CUresult.CUDA_ERROR_MPS_MAX_CLIENTS_REACHED,
                    CUresult.CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED,
                    CUresult.CUDA_ERROR_MPS_CLIENT_TERMINATED ->
                "the card is shared by NVIDIA's MPS, which refuses this process: see its log, or use --device cpu";
            case CUresult.CUDA_ERROR_ILLEGAL_ADDRESS,
                    CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED,
                    CUresult.CUDA_ERROR_ILLEGAL_INSTRUCTION,
                    CUresult.CUDA_ERROR_MISALIGNED_ADDRESS,
                    CUresult.CUDA_ERROR_INVALID_ADDRESS_SPACE,
                    CUresult.CUDA_ERROR_INVALID_PC,
                    CUresult.CUDA_ERROR_HARDWARE_STACK_ERROR,
                    CUresult.CUDA_ERROR_ASSERT,
                    CUresult.CUDA_ERROR_LAUNCH_FAILED ->
                "a kernel went wrong and this process can no longer use the card: report it, and use --device cpu";
            case CUresult.CUDA_ERROR_LAUNCH_TIMEOUT ->
                "the card also drives a display, which ends long kernels: use another card or --device cpu";
            default -> "see 'nvidia-smi', and use --device cpu if it stays so";
        };
    }
}
