package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.error.DeviceException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("gpu")
class TransferTest {
    private static final int STAGING = 4096;

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 5, STAGING - 1, STAGING, STAGING + 1, 2 * STAGING, 3 * STAGING + 17, 10 * STAGING})
    void whatGoesUpComesDown(int bytes) {
        byte[] source = random(bytes);
        byte[] target = new byte[bytes];
        try (Device device = Device.open(TestDevice.libraries(), 0, STAGING)) {
            device.run(() -> {
                try (DeviceMemory memory = device.allocate(bytes + 24, "a test")) {
                    device.stream().clear(memory.address(), memory.bytes());
                    device.upload(MemorySegment.ofArray(source), memory, 16);
                    device.download(memory, 16, MemorySegment.ofArray(target));
                    byte[] around = new byte[24];
                    device.download(memory, 0, MemorySegment.ofArray(around).asSlice(0, 16));
                    device.download(
                            memory, 16 + bytes, MemorySegment.ofArray(around).asSlice(16));
                    assertArrayEquals(new byte[24], around);
                }
            });
            assertArrayEquals(source, target);
            assertEquals(0, device.openAllocations());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {STAGING, (1 << 20) + 12345})
    void goesBehindQueuedWorkOrBesideIt(int bytes) {
        byte[] first = random(bytes);
        byte[] second = random(bytes + 1);
        byte[] both = new byte[2 * bytes + 1];
        try (Device device = Device.open(TestDevice.libraries(), 0, STAGING)) {
            device.run(() -> {
                try (DeviceMemory memory = device.allocate(both.length, "a test");
                        Event unused = device.event()) {
                    device.stream().fill(memory.address(), (byte) 9, memory.bytes());
                    device.stream().record(unused);
                    device.upload(MemorySegment.ofArray(first), memory, 0);
                    device.uploadAfter(unused, MemorySegment.ofArray(second), memory, bytes);
                    device.download(memory, 0, MemorySegment.ofArray(both));
                }
            });
        }
        byte[] expected = new byte[both.length];
        System.arraycopy(first, 0, expected, 0, bytes);
        System.arraycopy(second, 0, expected, bytes, bytes + 1);
        assertArrayEquals(expected, both);
    }

    @Test
    void theSourceMayChangeOnReturn() {
        byte[] source = random(5 * STAGING);
        byte[] before = source.clone();
        byte[] target = new byte[source.length];
        try (Device device = Device.open(TestDevice.libraries(), 0, STAGING)) {
            device.run(() -> {
                try (DeviceMemory memory = device.allocate(source.length, "a test")) {
                    device.uploadAfter(null, MemorySegment.ofArray(source), memory, 0);
                    MemorySegment.ofArray(source).fill((byte) 1);
                    device.download(memory, 0, MemorySegment.ofArray(target));
                }
            });
        }
        assertArrayEquals(before, target);
    }

    /** Large enough that several threads fill the staging buffers, from a mapped file and from memory of one thread. */
    @Test
    void readsMappedFilesAndMemoryOfOneThread(@TempDir Path folder) throws IOException {
        byte[] bytes = random((20 << 20) + 3);
        Path file = Files.write(folder.resolve("matrix"), bytes);
        Device device = TestDevice.open();
        try (Arena arena = Arena.ofShared();
                FileChannel channel = FileChannel.open(file)) {
            MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, bytes.length, arena);
            device.run(() -> {
                try (DeviceMemory memory = device.allocate(bytes.length, "a test");
                        Arena own = Arena.ofConfined()) {
                    device.upload(mapped, memory, 0);
                    MemorySegment down = own.allocate(bytes.length);
                    device.download(memory, 0, down);
                    assertArrayEquals(bytes, down.toArray(ValueLayout.JAVA_BYTE));
                    down.fill((byte) 4);
                    device.upload(down, memory, 0);
                    device.download(memory, 0, down.fill((byte) 0));
                    assertEquals(4, down.get(ValueLayout.JAVA_BYTE, bytes.length - 1L));
                }
            });
        }
        TestDevice.assertNothingLeaked();
    }

    @Test
    void refusesWhatDoesNotFit() {
        Device device = TestDevice.open();
        device.run(() -> {
            try (DeviceMemory memory = device.allocate(100, "a test")) {
                MemorySegment host = MemorySegment.ofArray(new byte[50]);
                assertThrows(IndexOutOfBoundsException.class, () -> device.upload(host, memory, 51));
                assertThrows(IndexOutOfBoundsException.class, () -> device.upload(host, memory, -1));
                assertThrows(IndexOutOfBoundsException.class, () -> device.download(memory, Long.MAX_VALUE, host));
            }
        });
        TestDevice.assertNothingLeaked();
    }

    @Test
    void takesSmallerBuffersWhereTheHostHasLittlePageLockedMemory() {
        Device device = TestDevice.open();
        byte[] source = random(2 << 20);
        byte[] target = new byte[source.length];
        long before = device.openAllocations();
        device.run(() -> {
            Staging staging = new Staging(
                    bytes -> device.openAllocations() > before && bytes > 512 << 10 || bytes > 1 << 20
                            ? refuse(bytes)
                            : device.pinned(bytes),
                    device::event,
                    8 << 20);
            try (staging;
                    DeviceMemory memory = device.allocate(source.length, "a test")) {
                staging.upload(MemorySegment.ofArray(source), memory.address(), device.stream());
                assertEquals(512 << 10, staging.pieceBytes());
                staging.download(memory.address(), MemorySegment.ofArray(target), device.stream());
            }
        });
        assertArrayEquals(source, target);
        TestDevice.assertNothingLeaked();
    }

    @Test
    void saysWhenTheHostHasNoPageLockedMemory() {
        Device device = TestDevice.open();
        device.run(() -> {
            try (Staging staging = new Staging(TransferTest::refuse, device::event, 8 << 20)) {
                DeviceException e = assertThrows(
                        DeviceException.class,
                        () -> staging.upload(MemorySegment.ofArray(new byte[1]), 0, device.stream()));
                assertTrue(e.getMessage().contains("not even 512.0 KiB"), e.getMessage());
                assertTrue(e.getMessage().contains("ulimit -l"), e.getMessage());
            }
        });
        TestDevice.assertNothingLeaked();
    }

    private static PinnedMemory refuse(long bytes) {
        throw new OutOfDeviceMemoryException("planted", bytes);
    }

    private static byte[] random(int bytes) {
        byte[] values = new byte[bytes];
        new Random(bytes).nextBytes(values);
        return values;
    }
}
