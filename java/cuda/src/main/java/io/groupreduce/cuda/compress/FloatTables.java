package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Owned;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** Arrays of binary32, one behind the other on the card: a factor, or scales, of every basis. */
final class FloatTables {
    private final DeviceMemory memory;
    private final long[] offsets;

    /**
     * Copies the beginning of every array.
     *
     * @param purpose what an error message calls them
     * @param arrays {@code null} for one that is not there
     * @param lengths how many numbers of each are wanted
     */
    FloatTables(Owned owned, String purpose, List<float[]> arrays, int[] lengths) {
        offsets = new long[lengths.length];
        long bytes = 0;
        for (int a = 0; a < lengths.length; a++) {
            offsets[a] = arrays.get(a) == null ? -1 : bytes;
            bytes += arrays.get(a) == null ? 0 : (long) Float.BYTES * lengths[a];
        }
        memory = owned.allocate(bytes, purpose);
        for (int a = 0; a < lengths.length; a++) {
            if (offsets[a] >= 0) {
                MemorySegment part = MemorySegment.ofArray(arrays.get(a)).asSlice(0, (long) Float.BYTES * lengths[a]);
                owned.device().upload(part, memory, offsets[a]);
            }
        }
    }

    /** The device address of an array; 0 for one that is not there. */
    long address(int index) {
        return offsets[index] < 0 ? 0 : memory.address() + offsets[index];
    }
}
