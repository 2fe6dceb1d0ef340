package io.groupreduce.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidOptionException;
import java.util.Optional;
import java.util.concurrent.Executor;
import org.junit.jupiter.api.Test;

class ThreadsTest {
    private final Executor executor = Runnable::run;

    @Test
    void countsTheCallingThread() {
        assertEquals(1, Threads.calling().count());
        assertEquals(3, Threads.own(3).count());
        assertEquals(4, Threads.of(executor, 3).count());
        assertEquals(Optional.empty(), Threads.own(3).executor());
        assertEquals(Optional.of(executor), Threads.of(executor, 3).executor());
    }

    @Test
    void isAValue() {
        assertEquals(Threads.calling(), Threads.own(1));
        assertEquals(Threads.own(2), Threads.own(2));
        assertEquals(Threads.of(executor, 1).hashCode(), Threads.of(executor, 1).hashCode());
        assertEquals(Threads.of(executor, 1), Threads.of(executor, 1));
        assertNotEquals(Threads.own(2), Threads.of(executor, 1));
        assertNotEquals(Threads.of(executor, 1), Threads.of(executor, 2));
        assertEquals("the calling thread", Threads.calling().toString());
        assertEquals("2 threads", Threads.own(2).toString());
        assertTrue(Threads.of(executor, 1).toString().startsWith("the calling thread and 1 of "));
    }

    @Test
    void noThreadAtAllIsRefused() {
        for (int bad : new int[] {0, -3, Integer.MIN_VALUE}) {
            InvalidOptionException own = assertThrows(InvalidOptionException.class, () -> Threads.own(bad));
            assertEquals("The number of threads is " + bad + "; give at least 1.", own.getMessage());
            InvalidOptionException of = assertThrows(InvalidOptionException.class, () -> Threads.of(executor, bad));
            assertTrue(
                    of.getMessage().contains(" is " + bad + "; give at least 1, or take Threads.calling()."),
                    of::getMessage);
        }
        assertThrows(InvalidOptionException.class, () -> Threads.of(executor, Integer.MAX_VALUE));
        assertThrows(NullPointerException.class, () -> Threads.of(null, 1));
    }
}
