package io.groupreduce.matrix;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/** Copies of stored numbers, bit for bit, in memory of their own. */
public final class StoredCopy {
    private StoredCopy() {}

    /** The same numbers and scales in memory of {@code arena}. */
    public static EncodedMatrix of(EncodedMatrix source, Arena arena) {
        EncodedMatrix copy = EncodedMatrix.allocate(
                arena, source.codec(), source.rows(), source.width(), source.block(), source.scaleFormat());
        copy.data().copyFrom(source.data());
        if (source.scales() != null) {
            copy.scales().copyFrom(source.scales());
        }
        return copy;
    }

    /** The same compressed matrix in memory of {@code arena}. */
    public static CompressedMatrix of(CompressedMatrix source, Arena arena) {
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < source.groups().size(); g++) {
            left.add(source.left(g) == null ? null : of(source.left(g), arena));
        }
        List<EncodedMatrix> right = new ArrayList<>();
        for (int b = 0; b < source.bases(); b++) {
            right.add(of(source.right(b), arena));
        }
        CompressedMatrix copy =
                new CompressedMatrix(source.name(), source.columns(), source.groupOf(), source.groups(), left, right);
        return source.bias() == null ? copy : copy.withBias(source.bias());
    }
}
