package io.groupreduce.internal.check;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.Matrix;
import java.util.SplittableRandom;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class CompressionChecksTest {
    private static final int ROWS = 1000;

    private static void require(int targets, DoubleUnaryOperator share) {
        SplittableRandom random = new SplittableRandom(5);
        int[] tokens = IntStream.range(0, targets)
                .map(t -> (int) (share.applyAsDouble(random.nextDouble()) * ROWS))
                .toArray();
        CompressionChecks.requireFrequentFirst(Matrix.of("a.weight", new float[ROWS], ROWS, 1), tokens, "hidden");
    }

    @Test
    void targetsThatOccurInFrontBearAnOrderOfFrequencyOut() {
        assertDoesNotThrow(() -> require(50, x -> x * x));
        assertDoesNotThrow(() -> require(5000, x -> x * x * x), "nearly all tokens occur");
        assertDoesNotThrow(() -> require(20, x -> 0.9 + x / 10), "too few");
        assertDoesNotThrow(
                () -> require(100, x -> x > 0.5 ? 1.5 : x / 10), "beyond the matrix, as of a padded vocabulary");
    }

    @Test
    void targetsThatOccurAnywhereDoNot() {
        assertThrows(InvalidDataException.class, () -> require(50, x -> x));
        assertThrows(InvalidDataException.class, () -> require(3000, x -> x));
        String message = assertThrows(InvalidDataException.class, () -> require(500, x -> Math.sqrt(x)))
                .getMessage();
        assertEquals("The targets of hidden do not bear --counts zipf out", message.substring(0, message.indexOf(':')));
    }
}
