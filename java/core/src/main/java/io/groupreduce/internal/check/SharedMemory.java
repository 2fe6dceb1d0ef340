package io.groupreduce.internal.check;

import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.MemorySegment;

/** Whether memory may be used by every thread, or only by the one that opened its arena. */
public final class SharedMemory {
    /** Asked whether a segment is open to other threads than the caller's; never started. */
    private static final Thread OTHER = Thread.ofPlatform().unstarted(() -> {});

    private SharedMemory() {}

    /** Whether other threads than the caller's may use a segment too. */
    public static boolean isShared(MemorySegment segment) {
        return segment.isAccessibleBy(OTHER);
    }

    /** @throws InvalidOptionException naming the first factor that lies in an arena of one thread */
    public static void require(CompressedMatrix matrix) {
        for (int g = 0; g < matrix.groups().size(); g++) {
            require(matrix.left(g), "left factor of group " + g, matrix);
        }
        for (int b = 0; b < matrix.bases(); b++) {
            require(matrix.right(b), "right factor of basis " + b, matrix);
        }
    }

    private static void require(EncodedMatrix factor, String what, CompressedMatrix matrix) {
        boolean scaled = factor != null && factor.codec().scaled();
        if (factor != null && !(isShared(factor.data()) && (!scaled || isShared(factor.scales())))) {
            throw new InvalidOptionException("The " + what + " of '" + matrix.name()
                    + "' lies in an arena that is confined to one thread, but several threads read it; use"
                    + " Arena.ofShared() or Arena.ofAuto().");
        }
    }
}
