package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * The Ritz vectors of the last call, by the matrix's number: where a similar matrix's solution starts. Kept while
 * memory is plenty.
 */
final class WarmBlocks implements AutoCloseable {
    /** A block may take this part of what is free. */
    private static final int SHARE = 4;

    /**
     * @param memory width vectors, ascending
     * @param values descending
     */
    record Kept(DeviceMemory memory, int order, int width, double[] values, double trace) {
        /** Estimates of the leading eigenvalues of a similar matrix. */
        double[] values(int count, double similarTrace) {
            double[] estimates = Arrays.copyOf(values, count);
            for (int j = 0; j < count; j++) {
                estimates[j] *= similarTrace / trace;
            }
            return estimates;
        }
    }

    private final Device device;
    private final Map<Integer, Kept> kept = new HashMap<>();

    WarmBlocks(Device device) {
        this.device = device;
    }

    /** What was kept of this matrix at this order; {@code null} if nothing that helps. */
    Kept find(int index, int order) {
        Kept found = kept.get(index);
        return found == null || found.order() != order || found.trace() <= 0 ? null : found;
    }

    /** Keeps a solved basis's block. */
    void keep(KrylovBasis basis, int order, int width) {
        long bytes = (long) order * width * Double.BYTES;
        Kept before = kept.remove(basis.index());
        DeviceMemory memory = before == null ? null : before.memory();
        if (memory != null && memory.bytes() != bytes) {
            memory.close();
            memory = null;
        }
        if (memory == null) {
            if (bytes > device.availableMemory() / SHARE) {
                return;
            }
            memory = device.allocate(bytes, "the eigensolver's last vectors");
        }
        device.stream().copy(memory.address(), basis.x(), bytes);
        kept.put(basis.index(), new Kept(memory, order, width, basis.values(), basis.trace()));
    }

    @Override
    public void close() {
        kept.values().forEach(block -> block.memory().close());
        kept.clear();
    }
}
