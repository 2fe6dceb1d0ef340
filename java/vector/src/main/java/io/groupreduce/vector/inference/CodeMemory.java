package io.groupreduce.vector.inference;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Memory for the codes of a head, in huge pages where the system gives some. With pages of 4 kB every page costs a walk through the
 * page tables, and a kernel that computes while it reads cannot hide it: measured, INT8 is read at 0.7 to 0.8 of the memory's speed
 * with small pages and at 0.9 with huge ones.
 *
 * <p>Huge pages are asked for on Linux, of a head of at least one of them, and only if native access was granted to this module,
 * since Java warns of it otherwise. Nothing else depends on them.
 */
@SuppressWarnings("restricted")
final class CodeMemory {
    private static final long HUGE_PAGE = 2L << 20;
    private static final int READ_WRITE = 3;
    private static final int PRIVATE_ANONYMOUS = 0x22;
    private static final int ADVISE_HUGE_PAGES = 14;
    private static final long FAILED = -1;

    private CodeMemory() {}

    /** Zeroed memory that {@code arena} frees. */
    static MemorySegment allocate(Arena arena, long bytes) {
        if (bytes >= HUGE_PAGE
                && System.getProperty("os.name").equals("Linux")
                && CodeMemory.class.getModule().isNativeAccessEnabled()) {
            MemorySegment huge = map(arena, bytes);
            if (huge != null) {
                return huge;
            }
        }
        return arena.allocate(Math.max(bytes, 1), 64);
    }

    /** {@code null} if the system does not give it; then ordinary memory serves as well. */
    private static MemorySegment map(Arena arena, long bytes) {
        MethodHandle map = function(
                "mmap",
                FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
        MethodHandle unmap = function("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
        MethodHandle advise = function("madvise", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
        if (map == null || unmap == null || advise == null) {
            return null;
        }
        // Room to begin at the border of a huge page and to end with one.
        long mapped = (bytes + 2 * HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
        try {
            long from = (long) map.invokeExact(0L, mapped, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0L);
            if (from == FAILED) {
                return null;
            }
            long begin = (from + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
            // Before the first touch, which would fill in small pages. A refusal leaves small pages, no more.
            int refused = (int) advise.invokeExact(begin, from + mapped - begin, ADVISE_HUGE_PAGES);
            assert refused == 0 || refused == -1;
            return MemorySegment.ofAddress(begin).reinterpret(bytes, arena, segment -> unmap(unmap, from, mapped));
        } catch (Throwable e) {
            throw new IllegalStateException("mmap, munmap and madvise throw nothing", e);
        }
    }

    private static void unmap(MethodHandle unmap, long from, long bytes) {
        try {
            int failed = (int) unmap.invokeExact(from, bytes);
            assert failed == 0;
        } catch (Throwable e) {
            throw new IllegalStateException("munmap throws nothing", e);
        }
    }

    private static MethodHandle function(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.defaultLookup()
                .find(name)
                .map(address -> linker.downcallHandle(address, type))
                .orElse(null);
    }
}
