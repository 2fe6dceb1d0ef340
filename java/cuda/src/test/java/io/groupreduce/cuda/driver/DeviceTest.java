package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidDataException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("gpu")
class DeviceTest {
    @Test
    void knowsItsProperties() {
        DeviceProperties card = TestDevice.open().properties();
        assertTrue(card.computeMajor() >= 8, card.toString());
        assertTrue(card.multiprocessors() > 0 && card.memoryBytes() > 1 << 28 && card.l2Bytes() > 0, card.toString());
        assertTrue(card.sharedBytesPerBlock() > 48 << 10 && card.singleToDoubleRatio() > 0, card.toString());
        assertTrue(card.summary().matches(".+, compute capability \\d+\\.\\d, driver \\d+\\.\\d"), card.summary());
    }

    @Test
    void refusesANumberThatNoCardHas() {
        CudaLibraries libraries = TestDevice.libraries();
        DeviceException e = assertThrows(DeviceException.class, () -> Device.open(libraries, 4321));
        assertTrue(e.getMessage().startsWith("There is no GPU cuda:4321 here"), e.getMessage());
    }

    @Test
    void worksOnOneThreadOfItsOwn() {
        try (Device device = TestDevice.fresh()) {
            Thread first = device.call(Thread::currentThread);
            assertSame(first, device.call(() -> device.call(Thread::currentThread)));
            assertEquals("cuda:0", first.getName());
            assertTrue(first.isDaemon() && !first.isVirtual() && first != Thread.currentThread());
        }
    }

    @Test
    void passesFailuresThroughWithTheirOwnType() {
        Device device = TestDevice.open();
        InvalidDataException own = new InvalidDataException("planted");
        assertSame(
                own,
                assertThrows(
                        InvalidDataException.class,
                        () -> device.run(() -> {
                            throw own;
                        })));
        StackOverflowError error = new StackOverflowError("planted");
        assertSame(
                error,
                assertThrows(
                        StackOverflowError.class,
                        () -> device.call(() -> {
                            throw error;
                        })));
        assertEquals(3, device.call(() -> 3));
    }

    @Test
    void keepsWaitingWhenTheCallerIsInterrupted() throws InterruptedException {
        Device device = TestDevice.open();
        CountDownLatch working = new CountDownLatch(1);
        CountDownLatch finish = new CountDownLatch(1);
        AtomicBoolean done = new AtomicBoolean();
        AtomicBoolean doneAtReturn = new AtomicBoolean();
        AtomicBoolean stillInterrupted = new AtomicBoolean();
        Thread caller = Thread.ofPlatform().start(() -> {
            device.run(() -> {
                working.countDown();
                await(finish);
                done.set(true);
            });
            doneAtReturn.set(done.get());
            stillInterrupted.set(Thread.currentThread().isInterrupted());
        });
        working.await();
        caller.interrupt();
        // The caller must be seen to take the interruption before the work ends: it clears the flag, and parks again.
        while (caller.isInterrupted()) {
            Thread.onSpinWait();
        }
        finish.countDown();
        caller.join();
        assertTrue(doneAtReturn.get());
        assertTrue(stillInterrupted.get());
    }

    @Test
    void servesManyCallersOneAtATime() throws InterruptedException {
        Device device = TestDevice.open();
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        int[] unguarded = new int[1];
        List<Thread> callers = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
            callers.add(Thread.ofPlatform().start(() -> {
                for (int i = 0; i < 250; i++) {
                    device.run(() -> {
                        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                        unguarded[0]++;
                        inside.decrementAndGet();
                    });
                }
            }));
        }
        for (Thread caller : callers) {
            caller.join();
        }
        assertEquals(1, most.get());
        assertEquals(1000, unguarded[0]);
    }

    @Test
    void countsWhatIsOpenAndFreesOnce() {
        Device device = TestDevice.open();
        long before = device.openAllocations();
        DeviceMemory memory = device.call(() -> device.allocate(1000, "a test"));
        PinnedMemory pinned = device.call(() -> device.pinned(100));
        assertEquals(1000, memory.bytes());
        assertEquals(100, pinned.segment().byteSize());
        assertEquals(before + 2, device.openAllocations());
        // Here on another thread than the device's.
        memory.close();
        memory.close();
        pinned.close();
        pinned.close();
        assertEquals(before, device.openAllocations());
        DeviceException e = assertThrows(DeviceException.class, memory::address);
        assertTrue(e.getMessage().contains("a test"), e.getMessage());
        assertThrows(IllegalStateException.class, () -> pinned.segment().fill((byte) 0));
    }

    @Test
    void closingFreesWhatOthersLeftOpen() {
        Device device = TestDevice.fresh();
        DeviceMemory memory = device.call(() -> {
            DeviceMemory taken = device.allocate(100, "a leak");
            device.pinned(100);
            device.event();
            ParameterEcho.launch(device, device.allocate(ParameterEcho.bytes(3), "a result"), 3);
            device.upload(MemorySegment.ofArray(new byte[50]), taken, 0);
            return taken;
        });
        assertEquals(3, device.openAllocations());
        device.close();
        assertEquals(0, device.openAllocations());
        device.close();
        memory.close();
        assertThrows(DeviceException.class, memory::address);
    }

    @Test
    void saysThatItIsClosed() {
        Device device = TestDevice.fresh();
        device.close();
        DeviceException e = assertThrows(DeviceException.class, () -> device.call(() -> 1));
        assertEquals("The GPU cuda:0 is closed already; open it again to use it.", e.getMessage());
    }

    @Test
    void canBeClosedFromItsOwnThread() {
        Device device = TestDevice.fresh();
        device.run(() -> {
            device.allocate(10, "a leak");
            device.close();
        });
        assertEquals(0, device.openAllocations());
        assertThrows(DeviceException.class, () -> device.run(() -> {}));
    }

    @Test
    void namesPurposeAndSizesWhenMemoryIsOut() {
        Device device = TestDevice.open();
        device.run(() -> {
            try (DeviceMemory held = device.allocate(5 << 20, "the tables")) {
                OutOfDeviceMemoryException e = assertThrows(
                        OutOfDeviceMemoryException.class, () -> device.allocate(1L << 42, "the left factors"));
                assertEquals(1L << 42, e.asked());
                assertTrue(
                        e.getMessage()
                                .matches("There is no room on the GPU cuda:0 for the left factors: 4096\\.0 GiB were"
                                        + " asked for, .* are free \\(we hold .*the tables 5\\.0 MiB.*\\); .*\\."),
                        e.getMessage());
                assertEquals(5 << 20, held.bytes());
            }
            // The card goes on working.
            try (DeviceMemory after = device.allocate(64, "a test")) {
                assertTrue(after.address() != 0);
            }
        });
        TestDevice.assertNothingLeaked();
    }

    @Test
    void keepsAReserveOfMemory() {
        Device device = TestDevice.open();
        long available = device.call(device::availableMemory);
        assertTrue(available > 0 && available < device.properties().memoryBytes());
        assertEquals(128 << 20, Device.reserve(1L << 30));
        assertEquals(256 << 20, Device.reserve(4L << 30));
        assertEquals((80L << 30) / 100 * 3, Device.reserve(80L << 30));
    }

    @Test
    void measuresTimeBetweenEvents() {
        Device device = TestDevice.open();
        device.run(() -> {
            try (Event from = device.event();
                    Event to = device.event();
                    DeviceMemory memory = device.allocate(1 << 20, "a test")) {
                device.stream().record(from);
                device.stream().clear(memory.address(), memory.bytes());
                device.stream().record(to);
                to.synchronize();
                assertTrue(Event.milliseconds(from, to) >= 0);
                assertTrue(Event.milliseconds(to, from) <= 0);
            }
            Event closed = device.event();
            closed.close();
            closed.close();
            assertThrows(DeviceException.class, () -> device.stream().record(closed));
        });
        TestDevice.assertNothingLeaked();
    }

    @Test
    void fillsAndCopiesOnTheCard() {
        Device device = TestDevice.open();
        byte[] result = new byte[300];
        device.run(() -> {
            try (DeviceMemory a = device.allocate(300, "a test");
                    DeviceMemory b = device.allocate(300, "a test")) {
                device.stream().fill(a.address(), (byte) -3, 300);
                device.stream().clear(a.address() + 10, 7);
                device.stream().clear(a.address() + 20, 0);
                device.stream().copy(b.address(), a.address(), 300);
                device.stream().synchronize();
                device.download(b, 0, MemorySegment.ofArray(result));
            }
        });
        byte[] expected = new byte[300];
        Arrays.fill(expected, (byte) -3);
        Arrays.fill(expected, 10, 17, (byte) 0);
        assertArrayEquals(expected, result);
        TestDevice.assertNothingLeaked();
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
