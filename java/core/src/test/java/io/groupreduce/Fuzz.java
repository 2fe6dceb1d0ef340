package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.groupreduce.error.GroupReduceException;
import java.lang.management.ManagementFactory;
import java.util.Random;

/**
 * Thousands of random cases of one property: what is asked for happens, or is refused with one of this library's exceptions and one
 * line of text. Nothing else comes out, and no case takes long or much memory. {@code -Dgroupreduce.fuzz=100} runs a hundred times as
 * many from a seed of their own, {@code -Dgroupreduce.fuzz.seed=S} those of a seed; a failure names the seed that makes it the first
 * case. Without either, the cases are the same in every run.
 */
public final class Fuzz {
    private static final int TIMES = Integer.getInteger("groupreduce.fuzz", 1);
    private static final long SEED = 20261130;
    private static final long MOST_BYTES = 64L << 20;
    private static final long MOST_NANOS = 5_000_000_000L;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private Fuzz() {}

    /** One case, all of whose choices come from {@code random}. */
    @FunctionalInterface
    public interface Case {
        void run(Random random) throws Exception;
    }

    /** Runs cases and returns which share of them was refused. */
    public static double refused(int cases, Case one) {
        long seed = Long.getLong("groupreduce.fuzz.seed", TIMES == 1 ? SEED : new Random().nextLong());
        long count = (long) cases * TIMES;
        long refused = 0;
        for (long c = 0; c < count; c++) {
            long bytes = THREADS.getCurrentThreadAllocatedBytes();
            long begun = System.nanoTime();
            try {
                one.run(new Random(seed + c));
            } catch (GroupReduceException e) {
                requireSentence(e.getMessage(), seed + c);
                refused++;
            } catch (Throwable e) {
                throw new AssertionError("seed " + (seed + c), e);
            }
            long taken = THREADS.getCurrentThreadAllocatedBytes() - bytes;
            assertTrue(taken < MOST_BYTES, "seed " + (seed + c) + ": " + taken + " bytes of memory");
            long nanos = System.nanoTime() - begun;
            assertTrue(nanos < MOST_NANOS, "seed " + (seed + c) + ": " + nanos + " ns");
        }
        return (double) refused / count;
    }

    /** Runs cases of which some must be refused, and some must not. */
    public static void run(int cases, Case one) {
        double share = refused(cases, one);
        assertTrue(share > 0 && share < 1, "refused were " + share);
    }

    private static void requireSentence(String message, long seed) {
        String what = "seed " + seed + ": " + message;
        assertTrue(message.endsWith(".") && message.length() < 1500, what);
        assertFalse(message.chars().anyMatch(c -> Character.isISOControl(c) || c == 0x2028 || c == 0x2029), what);
    }

    /** One of some values. */
    @SafeVarargs
    public static <T> T one(Random random, T... values) {
        return values[random.nextInt(values.length)];
    }
}
