package io.groupreduce.internal.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class ShareableTest {
    private static void assertRefused(String what, Executable action) {
        String message = assertThrows(InvalidOptionException.class, action).getMessage();
        assertEquals(
                what
                        + " lies in an arena that is confined to one thread, but several threads use it; use Arena.ofShared().",
                message);
    }

    @Test
    void memoryOfOneThreadIsRefusedAndAnyOtherIsNot() {
        try (Arena confined = Arena.ofConfined();
                Arena shared = Arena.ofShared()) {
            assertRefused("m", () -> Shareable.require(Matrix.of("m", DType.F32, 2, 1, confined.allocate(8))));
            Shareable.require(Matrix.of("m", DType.F32, 2, 1, shared.allocate(8)));
            Shareable.require(Matrix.of("m", DType.F32, 2, 1, Arena.ofAuto().allocate(8)));
            Shareable.require(Matrix.of("m", new float[2], 2, 1));
            assertTrue(Shareable.is(Arena.global().allocate(1)));
        }
    }

    @Test
    void everyFactorIsLookedAt() {
        try (Arena confined = Arena.ofConfined();
                Arena shared = Arena.ofShared()) {
            Shareable.require(matrix(shared, shared));
            assertRefused("The left factor of group 1 of 'w'", () -> Shareable.require(matrix(confined, shared)));
            assertRefused("The right factor of basis 0 of 'w'", () -> Shareable.require(matrix(shared, confined)));
            CompressedMatrix scales = matrix(shared, shared);
            EncodedMatrix left = scales.left(1);
            EncodedMatrix mixed = new EncodedMatrix(
                    left.profile(),
                    left.rows(),
                    left.block(),
                    left.data(),
                    confined.allocate(left.scales().byteSize()),
                    left.scaleFormat());
            assertRefused("The left factor of group 1 of 'w'", () -> Shareable.require(with(mixed, scales.right(0))));
        }
    }

    private static CompressedMatrix matrix(Arena left, Arena right) {
        return with(
                EncodedMatrix.allocate(left, BitProfile.of(Codec.INT8, 2), 3, 2),
                EncodedMatrix.allocate(right, BitProfile.of(Codec.F32, 4), 2, 4));
    }

    /** Group 0 stores nothing. */
    private static CompressedMatrix with(EncodedMatrix left, EncodedMatrix right) {
        List<GroupPlan> plans = List.of(GroupPlan.zero(), new GroupPlan(0, left.profile()));
        return new CompressedMatrix("w", 4, new byte[] {0, 1, 1, 1}, plans, Arrays.asList(null, left), List.of(right));
    }
}
