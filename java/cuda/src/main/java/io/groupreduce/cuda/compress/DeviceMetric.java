package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Owned;
import java.lang.foreign.MemorySegment;

/**
 * The roots of the metric on the card: S and S^-1, D x D, symmetric. Without a metric both are the identity and nothing
 * is held.
 */
final class DeviceMetric {
    private final double squaredTrace;
    private final DeviceMemory root64;
    private final DeviceMemory root32;
    private final DeviceMemory inverse64;

    /**
     * Copies the roots to the card.
     *
     * @param root S, D x D row-major; {@code null} for the identity
     * @param inverse S^-1; {@code null} exactly when {@code root} is
     */
    DeviceMetric(Owned owned, double[] root, double[] inverse, int columns) {
        if (root == null) {
            squaredTrace = columns;
            root64 = null;
            root32 = null;
            inverse64 = null;
            return;
        }
        double sum = 0;
        float[] single = new float[root.length];
        for (int x = 0; x < root.length; x++) {
            sum += root[x] * root[x];
            single[x] = (float) root[x];
        }
        squaredTrace = sum;
        root64 = owned.copy(MemorySegment.ofArray(root), "the root of the metric");
        inverse64 = owned.copy(MemorySegment.ofArray(inverse), "the inverse root of the metric");
        root32 = owned.copy(MemorySegment.ofArray(single), "the root of the metric in single precision");
    }

    /** Whether there is a metric other than the identity. */
    boolean present() {
        return root64 != null;
    }

    /** The device address of S in binary64; only with a metric. */
    long root64() {
        return root64.address();
    }

    /** The device address of S in binary32; only with a metric. */
    long root32() {
        return root32.address();
    }

    /** The device address of S^-1 in binary64; only with a metric. */
    long inverse64() {
        return inverse64.address();
    }

    /** {@code trace(S^2)}; D without a metric. */
    double squaredTrace() {
        return squaredTrace;
    }
}
