package io.groupreduce.internal.check;

import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.Matrix;
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

    /** @throws InvalidOptionException if only one thread may use {@code memory}, which the message calls {@code what} */
    public static void require(MemorySegment memory, String what) {
        if (!is(memory)) {
            throw new InvalidOptionException(
                    what + " lies in an arena that is confined to one thread, but several threads"
                            + " use it; use Arena.ofShared().");
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
