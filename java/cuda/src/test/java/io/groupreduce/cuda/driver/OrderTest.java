package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.error.DeviceException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import jcuda.driver.CUresult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * What uploads, downloads and streams promise, in many orders of queued work; and that those orders would show it if they broke the promise: each
 * mistake that is planted gives a wrong byte in one of them.
 */
@Tag("gpu")
@Tag("emulated")
class OrderTest {
    private static final int SEEDS = 40;
    private static final int BYTES = 64;
    private static final byte[] OLD = filled(1);
    private static final byte[] NEW = filled(2);

    private final Device device = TestDevice.open();

    @AfterEach
    void nothingLeaks() {
        TestDevice.assertNothingLeaked();
    }

    @Test
    void aMissingEventShows() {
        assertShows(ordered -> {
            try (DeviceMemory memory = device.allocate(BYTES, "a test");
                    Event written = device.event()) {
                device.stream().fill(memory.address(), (byte) 1, BYTES);
                device.stream().record(written);
                if (ordered) {
                    device.copyStream().await(written);
                }
                device.copyStream().fill(memory.address(), (byte) 2, BYTES);
                device.synchronize();
                return isNew(memory);
            }
        });
    }

    @Test
    void anEventThatIsWaitedForTooEarlyShows() {
        assertShows(ordered -> {
            try (DeviceMemory memory = device.allocate(BYTES, "a test");
                    Event written = device.event()) {
                if (!ordered) {
                    device.copyStream().await(written);
                }
                device.stream().fill(memory.address(), (byte) 1, BYTES);
                device.stream().record(written);
                if (ordered) {
                    device.copyStream().await(written);
                }
                device.copyStream().fill(memory.address(), (byte) 2, BYTES);
                device.synchronize();
                return isNew(memory);
            }
        });
    }

    @Test
    void aHostThatReadsTooEarlyShows() {
        assertShows(ordered -> {
            try (DeviceMemory memory = device.allocate(BYTES, "a test");
                    PinnedMemory host = device.pinned(BYTES)) {
                host.segment().fill((byte) 1);
                device.stream().fill(memory.address(), (byte) 2, BYTES);
                device.stream().copyToHost(host.segment(), memory.address());
                if (ordered) {
                    device.stream().synchronize();
                }
                boolean read = host.segment().get(ValueLayout.JAVA_BYTE, 0) == 2;
                device.stream().synchronize();
                return read;
            }
        });
    }

    @Test
    void aStagingBufferThatIsUsedAgainTooEarlyShows() {
        assertShows(ordered -> {
            try (DeviceMemory memory = device.allocate(BYTES, "a test");
                    PinnedMemory host = device.pinned(BYTES);
                    Event idle = device.event()) {
                host.segment().fill((byte) 2);
                device.copyStream().copyToDevice(memory.address(), host.segment());
                device.copyStream().record(idle);
                if (ordered) {
                    idle.synchronize();
                }
                host.segment().fill((byte) 1);
                device.synchronize();
                return isNew(memory);
            }
        });
    }

    /** Large enough for the second stream, in several pieces of the staging buffers. */
    @Test
    void uploadsAreBehindWhatWasQueuedAndBeforeWhatComes() {
        int bytes = (1 << 20) + 4096;
        try (Device small = Device.open(TestDevice.libraries(), 0, 256 << 10)) {
            small.run(() -> {
                try (DeviceMemory memory = small.allocate(bytes, "a test");
                        DeviceMemory before = small.allocate(bytes, "a test");
                        DeviceMemory after = small.allocate(bytes, "a test")) {
                    byte[] source = new byte[bytes];
                    byte[] target = new byte[bytes];
                    EmulatedDriver.inOrders(small.libraries(), 8, seed -> {
                        small.stream().fill(memory.address(), (byte) 1, bytes);
                        small.stream().copy(before.address(), memory.address(), bytes);
                        Arrays.fill(source, (byte) 2);
                        small.upload(MemorySegment.ofArray(source), memory, 0);
                        Arrays.fill(source, (byte) 3);
                        small.stream().copy(after.address(), memory.address(), bytes);
                        for (DeviceMemory part : new DeviceMemory[] {before, after}) {
                            small.download(part, 0, MemorySegment.ofArray(target));
                            Arrays.fill(source, (byte) (part == before ? 1 : 2));
                            assertArrayEquals(source, target, "seed " + seed);
                        }
                    });
                }
            });
        }
    }

    /** What goes wrong on a card is told by the call that waits, and by all after it. */
    @Test
    void aFaultIsReportedLate() {
        device.run(() -> {
            try (DeviceMemory memory = device.allocate(BYTES, "a test")) {
                EmulatedDriver.inOrders(
                        device.libraries(),
                        1,
                        seed -> EmulatedDriver.losing(
                                device.libraries(), 2, CUresult.CUDA_ERROR_ILLEGAL_ADDRESS, () -> {
                                    device.stream().clear(memory.address(), BYTES);
                                    device.stream().clear(memory.address(), BYTES);
                                    for (int i = 0; i < 2; i++) {
                                        DeviceException e = assertThrows(DeviceException.class, () -> device.stream()
                                                .synchronize());
                                        assertTrue(
                                                e.getMessage()
                                                        .startsWith("The GPU failed while waiting for the card"
                                                                + " (CUDA_ERROR_ILLEGAL_ADDRESS); a kernel went wrong"),
                                                e.getMessage());
                                    }
                                    assertThrows(DeviceException.class, () -> device.allocate(1, "a test"));
                                }));
                device.stream().clear(memory.address(), BYTES);
                device.stream().synchronize();
            }
        });
    }

    /** A piece of work without a mistake or with it; tells whether it ended as it ought to. */
    private interface Attempt {
        boolean run(boolean ordered);
    }

    private void assertShows(Attempt attempt) {
        int[] right = new int[2];
        device.run(() -> EmulatedDriver.inOrders(device.libraries(), SEEDS, seed -> {
            right[0] += attempt.run(true) ? 1 : 0;
            right[1] += attempt.run(false) ? 1 : 0;
        }));
        assertEquals(SEEDS, right[0], "right without the mistake");
        assertTrue(right[1] < SEEDS, "the mistake never shows");
    }

    private boolean isNew(DeviceMemory memory) {
        byte[] target = new byte[BYTES];
        device.download(memory, 0, MemorySegment.ofArray(target));
        assertTrue(Arrays.equals(OLD, target) || Arrays.equals(NEW, target), Arrays.toString(target));
        return Arrays.equals(NEW, target);
    }

    private static byte[] filled(int value) {
        byte[] bytes = new byte[BYTES];
        Arrays.fill(bytes, (byte) value);
        return bytes;
    }
}
