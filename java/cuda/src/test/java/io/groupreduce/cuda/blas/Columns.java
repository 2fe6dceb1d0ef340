package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.SplittableRandom;

/** Column-major matrices for tests: on the host as plain arrays, and to the device and back. */
final class Columns {
    private Columns() {}

    static double[] random(SplittableRandom random, int count) {
        return random.doubles(count, -1, 1).toArray();
    }

    static float[] singles(double[] values) {
        float[] result = new float[values.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = (float) values[i];
        }
        return result;
    }

    static DeviceMemory upload(Device device, double[] values) {
        DeviceMemory memory = device.allocate((long) values.length * Double.BYTES, "a test");
        device.upload(MemorySegment.ofArray(values), memory, 0);
        return memory;
    }

    static DeviceMemory upload(Device device, float[] values) {
        DeviceMemory memory = device.allocate((long) values.length * Float.BYTES, "a test");
        device.upload(MemorySegment.ofArray(values), memory, 0);
        return memory;
    }

    static DeviceMemory upload(Device device, long... words) {
        DeviceMemory memory = device.allocate((long) words.length * Long.BYTES, "a test");
        device.upload(MemorySegment.ofArray(words), memory, 0);
        return memory;
    }

    static double[] download(Device device, DeviceMemory memory) {
        double[] values = new double[(int) (memory.bytes() / Double.BYTES)];
        device.download(memory, 0, MemorySegment.ofArray(values));
        return values;
    }

    static float[] downloadSingles(Device device, DeviceMemory memory) {
        float[] values = new float[(int) (memory.bytes() / Float.BYTES)];
        device.download(memory, 0, MemorySegment.ofArray(values));
        return values;
    }

    /** A symmetric matrix with these eigenvalues and, unless {@code turned} is false, no special directions. */
    static double[] withSpectrum(double[] values, boolean turned, long seed) {
        int n = values.length;
        double[] matrix = new double[n * n];
        for (int i = 0; i < n; i++) {
            matrix[i * n + i] = values[i];
        }
        SplittableRandom random = new SplittableRandom(seed);
        for (int reflection = 0; turned && reflection < 3; reflection++) {
            reflect(matrix, n, random(random, n));
        }
        return matrix;
    }

    /** {@code H A H, H = I - 2 v v^T / v^T v}. */
    private static void reflect(double[] a, int n, double[] v) {
        double length = Arrays.stream(v).map(x -> x * x).sum();
        double[] p = new double[n];
        double product = 0;
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                p[i] += 2 / length * a[i * n + j] * v[j];
            }
            product += p[i] * v[i];
        }
        for (int i = 0; i < n; i++) {
            p[i] -= product / length * v[i];
        }
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                a[i * n + j] -= v[i] * p[j] + p[i] * v[j];
            }
        }
    }
}
