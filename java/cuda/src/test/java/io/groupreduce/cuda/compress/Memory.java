package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.EmulatedDriver;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;

/** What tests need of the card's memory. */
public final class Memory {
    private static final long PROBE = 1L << 30;

    private Memory() {}

    /**
     * Runs the work while the stand-in says that so many bytes may be asked for. It has a little more: what is kept
     * back of any card.
     */
    public static void withAvailable(Device device, long bytes, Runnable work) {
        // Of a small card an eighth is kept back.
        EmulatedDriver.withMemory(device.libraries(), (bytes + used(device)) / 7 * 8, work);
    }

    /** Runs the work while the stand-in has so many bytes free, and not one more. */
    public static void withFree(Device device, long bytes, Runnable work) {
        EmulatedDriver.withMemory(device.libraries(), bytes + used(device), work);
    }

    private static long used(Device device) {
        long[] available = new long[1];
        EmulatedDriver.withMemory(device.libraries(), PROBE, () -> available[0] = device.call(device::availableMemory));
        return PROBE / 8 * 7 - available[0];
    }

    /** Puts a whole array on the card. */
    static DeviceMemory upload(Device device, MemorySegment values) {
        return device.call(() -> {
            DeviceMemory memory = device.allocate(values.byteSize(), "a test's numbers");
            device.upload(values, memory, 0);
            return memory;
        });
    }

    /** Reads binary64 from anywhere on the card. */
    static double[] doubles(Device device, long address, int count) {
        double[] values = new double[count];
        read(device, address, MemorySegment.ofArray(values));
        return values;
    }

    /** Reads binary32 from anywhere on the card. */
    static float[] floats(Device device, long address, int count) {
        float[] values = new float[count];
        read(device, address, MemorySegment.ofArray(values));
        return values;
    }

    private static void read(Device device, long address, MemorySegment target) {
        device.run(() -> {
            try (DeviceMemory copy = device.allocate(target.byteSize(), "a test's copy")) {
                device.stream().copy(copy.address(), address, target.byteSize());
                device.download(copy, 0, target);
            }
        });
    }

    /** Closes all, the last first. */
    static void close(Device device, List<? extends AutoCloseable> parts) {
        device.run(() -> parts.reversed().forEach(part -> {
            try {
                part.close();
            } catch (Exception e) {
                throw new AssertionError("closing " + part, e);
            }
        }));
    }

    /** The largest difference of two arrays. */
    static double distance(double[] a, double[] b) {
        double most = 0;
        for (int x = 0; x < a.length; x++) {
            most = Math.max(most, Math.abs(a[x] - b[x]));
        }
        return a.length == b.length ? most : Arrays.hashCode(a);
    }
}
