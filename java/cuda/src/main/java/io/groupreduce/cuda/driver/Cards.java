package io.groupreduce.cuda.driver;

import io.groupreduce.api.DeviceStatus;
import io.groupreduce.error.DeviceException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.JCudaDriver;

/** The cards of this machine, without opening one. */
public final class Cards {
    // The oldest architecture that the kernels are compiled for: bfloat16 on tensor cores came with it.
    private static final int LEAST_MAJOR = 8;

    private Cards() {}

    /** One entry a card, or a single one that says why there is none that can be used. */
    public static List<DeviceStatus> probe(CudaLibraries libraries) {
        String name = null;
        long memory = 0;
        try {
            // Without a driver that is all: this is asked at every start, on machines without a card too.
            String noDriver = libraries.driverProblem();
            if (noDriver != null) {
                return List.of(new DeviceStatus("cuda", false, noDriver, 0, List.of()));
            }
            int count = DriverProbe.devices(libraries.driver());
            DriverProbe.startJcuda();
            List<DeviceProperties> cards = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                cards.add(properties(i));
            }
            name = cards.get(0).summary();
            memory = cards.get(0).memoryBytes();
            String problem = KernelModules.problem();
            if (problem != null) {
                throw new DeviceException(problem + ".");
            }
            libraries.solver();
            List<DeviceStatus> statuses = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                DeviceProperties card = cards.get(i);
                boolean available = card.computeMajor() >= LEAST_MAJOR;
                String reason = card.summary() + (available ? "" : "; " + tooOld());
                statuses.add(new DeviceStatus(
                        "cuda:" + i, available, reason, card.memoryBytes(), available ? libraries.names() : List.of()));
            }
            return statuses;
        } catch (DeviceException e) {
            String reason = sentencePart(e.getMessage());
            return List.of(new DeviceStatus(
                    "cuda", false, name == null ? reason : name + ": " + reason, memory, libraries.names()));
        }
    }

    /** Throws when the kernels cannot run on this card. */
    static void checkCapability(int ordinal, DeviceProperties card) {
        if (card.computeMajor() < LEAST_MAJOR) {
            throw new DeviceException("The GPU cuda:" + ordinal + " cannot be used (" + card.summary() + "): "
                    + tooOld() + "; use --device cpu.");
        }
    }

    /** Asks the driver; JCuda must have been started. */
    static DeviceProperties properties(int ordinal) {
        CUdevice device = new CUdevice();
        Status.check(JCudaDriver.cuDeviceGet(device, ordinal), "looking for the card " + ordinal);
        byte[] name = new byte[256];
        Status.check(JCudaDriver.cuDeviceGetName(name, name.length, device), "reading the name of card " + ordinal);
        long[] memory = new long[1];
        Status.check(JCudaDriver.cuDeviceTotalMem(memory, device), "reading the memory of card " + ordinal);
        int[] version = new int[1];
        Status.check(JCudaDriver.cuDriverGetVersion(version), "reading the driver's version");
        return new DeviceProperties(
                text(name),
                memory[0],
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
                attribute(device, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO),
                version[0]);
    }

    private static int attribute(CUdevice device, int which) {
        int[] value = new int[1];
        Status.check(
                JCudaDriver.cuDeviceGetAttribute(value, which, device),
                "reading " + CUdevice_attribute.stringFor(which));
        return value[0];
    }

    private static String text(byte[] bytes) {
        int length = 0;
        while (length < bytes.length && bytes[length] != 0) {
            length++;
        }
        return new String(bytes, 0, length, StandardCharsets.UTF_8).strip();
    }

    private static String tooOld() {
        return "the kernels need compute capability " + LEAST_MAJOR + ".0 or newer";
    }

    /** Without the words that a list of devices has in its heading. */
    private static String sentencePart(String message) {
        String part = message.replaceFirst("^The GPU cannot be used: ", "");
        return part.endsWith(".") ? part.substring(0, part.length() - 1) : part;
    }
}
