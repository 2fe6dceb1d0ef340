package io.groupreduce.cuda.blas;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.blas.KrylovMemory.Row;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class KrylovMemoryTest {
    /** Writing two sets of rows one after the other costs one copy, when the first of them is asked for. */
    @Test
    void tablesAreSentWhenARowIsAskedForAndNotBefore() {
        Device device = TestDevice.open();
        device.run(() -> {
            try (KrylovMemory memory = new KrylovMemory(device, 4, 2, 1);
                    DeviceMemory copy = device.allocate(Integer.BYTES, "a test")) {
                memory.writeNumber(Row.COUNT, 0, 5);
                long counts = memory.row(Row.COUNT);
                assertEquals(5, read(device, counts, copy));
                memory.writeNumber(Row.COUNT, 0, 6);
                memory.writeSmalls(1);
                assertEquals(5, read(device, counts, copy));
                memory.row(Row.SMALL);
                assertEquals(6, read(device, counts, copy));
            }
        });
        TestDevice.assertNothingLeaked();
    }

    private static int read(Device device, long address, DeviceMemory copy) {
        int[] read = new int[1];
        device.stream().copy(copy.address(), address, Integer.BYTES);
        device.download(copy, 0, MemorySegment.ofArray(read));
        return read[0];
    }
}
