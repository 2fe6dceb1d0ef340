package io.groupreduce.internal.check;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory that every thread may use: behind the doors several do, and one that may not fails in the midst of the work. */
public final class Shareable {
    /** Any thread but those that run; never started. */
    private static final Thread ANOTHER = Thread.ofPlatform().unstarted(() -> {});

    private Shareable() {}

    /** Whether threads other than the one that asks may use this memory. */
    public static boolean is(MemorySegment memory) {
        return memory.isAccessibleBy(ANOTHER);
    }

    /** @throws InvalidDataException if the arena of {@code memory}, which is of {@code what}, is closed or another thread's */
    public static void requireUsable(MemorySegment memory, String what) {
        if (!memory.scope().isAlive()) {
            throw new InvalidDataException("The segment of " + what
                    + " lies in an arena that is closed; keep it open until the call returns.");
        }
        if (!memory.isAccessibleBy(Thread.currentThread())) {
            throw new InvalidDataException("The segment of " + what
                    + " lies in an arena that is confined to another thread; use Arena.ofShared().");
        }
    }

    /**
     * Checks memory that the message calls {@code what}.
     *
     * @throws InvalidDataException if its arena is closed
     * @throws InvalidOptionException if only one thread may use it
     */
    public static void require(MemorySegment memory, String what) {
        if (!memory.scope().isAlive()) {
            throw new InvalidDataException(what
                    + " lies in memory whose arena is closed; keep the arena, or the file, open while it is used.");
        }
        if (!is(memory)) {
            throw new InvalidOptionException(
                    what + " lies in an arena that is confined to one thread, but several threads"
                            + " use it; use Arena.ofShared().");
        }
    }

    /** @throws InvalidOptionException if not every thread may have memory of the arena */
    public static void require(Arena arena) {
        boolean usable;
        try {
            usable = is(arena.allocate(1));
        } catch (IllegalStateException | WrongThreadException e) {
            usable = false;
        }
        if (!usable) {
            throw new InvalidOptionException(
                    "The arena is closed or confined to one thread, but several threads write the"
                            + " result; use an open Arena.ofShared().");
        }
    }

    /** @throws InvalidOptionException if only one thread may read the matrix */
    public static void require(Matrix matrix) {
        require(matrix.data(), matrix.name());
    }

    /** @throws InvalidOptionException if only one thread may read some factor */
    public static void require(CompressedMatrix matrix) {
        for (int g = 0; g < matrix.groups().size(); g++) {
            if (matrix.left(g) != null) {
                require(matrix.left(g), "The left factor of group " + g + " of '" + matrix.name() + "'");
            }
        }
        for (int b = 0; b < matrix.bases(); b++) {
            require(matrix.right(b), "The right factor of basis " + b + " of '" + matrix.name() + "'");
        }
    }

    private static void require(EncodedMatrix factor, String what) {
        require(factor.data(), what);
        if (factor.scales() != null) {
            require(factor.scales(), what);
        }
    }
}
