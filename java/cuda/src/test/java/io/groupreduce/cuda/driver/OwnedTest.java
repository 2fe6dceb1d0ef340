package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What was taken is given back, whatever goes wrong on the way. */
class OwnedTest {
    private final List<String> closed = new ArrayList<>();

    private AutoCloseable part(String name, Throwable failure) {
        return () -> {
            closed.add(name);
            if (failure instanceof Error error) {
                throw error;
            }
            if (failure != null) {
                throw (Exception) failure;
            }
        };
    }

    @Test
    void closesTheNewestFirstAndOnce() {
        Owned owned = new Owned(null);
        owned.add(part("first", null));
        owned.add(part("second", null));
        owned.close();
        owned.close();
        assertEquals(List.of("second", "first"), closed);
    }

    @Test
    void throwsTheFirstFailureWithTheOthersWhenAllAreClosed() {
        StackOverflowError error = new StackOverflowError("planted");
        IllegalStateException failure = new IllegalStateException("planted");
        Owned owned = new Owned(null);
        owned.add(part("first", null));
        owned.add(part("second", failure));
        owned.add(part("third", error));
        assertSame(error, assertThrows(StackOverflowError.class, owned::close));
        assertArrayEquals(new Throwable[] {failure}, error.getSuppressed());
        assertEquals(List.of("third", "second", "first"), closed);
        IOException checked = new IOException("planted");
        owned.add(part("fourth", checked));
        assertSame(
                checked, assertThrows(IllegalStateException.class, owned::close).getCause());
    }

    @Test
    void afterAFailureAttachesItsOwn() {
        StackOverflowError cause = new StackOverflowError("planted");
        IllegalStateException failure = new IllegalStateException("planted");
        Owned owned = new Owned(null);
        owned.add(part("first", cause));
        owned.add(part("second", failure));
        owned.closeAfter(cause);
        assertArrayEquals(new Throwable[] {failure}, cause.getSuppressed());
        assertEquals(List.of("second", "first"), closed);
    }

    @Test
    void whatPassesIsFreedBetweenStepsAndComesBack() {
        Device device = TestDevice.open();
        device.run(() -> {
            try (Owned owned = new Owned(device)) {
                owned.allocate(0, "what stays");
                WorkMemory work = owned.work("what passes");
                MirroredMemory mirrored = owned.addPassing(new MirroredMemory(device, "what passes"));
                assertEquals(0, work.address());
                assertTrue(work.reserve(10) && mirrored.reserve(10));
                assertFalse(work.reserve(10) || mirrored.reserve(9));
                assertEquals(4, device.openAllocations());
                owned.release();
                assertEquals(1, device.openAllocations());
                assertEquals(0, work.bytes());
                assertTrue(work.atLeast(0) != 0 && mirrored.reserve(3));
            }
        });
        TestDevice.assertNothingLeaked();
    }

    @Test
    void workMemoryDoublesWhileItIsSmall() {
        Device device = TestDevice.open();
        device.run(() -> {
            try (WorkMemory work = new WorkMemory(device, "a test")) {
                work.reserve(100);
                work.reserve(101);
                assertEquals(200, work.bytes());
                work.reserve(9 << 20);
                work.reserve((9 << 20) + 1);
                assertEquals((9 << 20) + 1, work.bytes());
            }
        });
        TestDevice.assertNothingLeaked();
    }
}
