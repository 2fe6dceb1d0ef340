package io.groupreduce.internal.check;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.Matrix;
import org.junit.jupiter.api.Test;

class SoftmaxChecksTest {
    private final Matrix hidden = Matrix.of("h", new float[] {1, 2, 3, 4}, 2, 2);

    private static void require(Matrix hidden, int[] targets, float[] bias, int columns, int rows) {
        Matrix matrix = Matrix.of("w", new float[rows * columns], rows, columns);
        SoftmaxChecks.require(new SoftmaxData(hidden, targets, bias), matrix, CompressionOptions.defaults());
    }

    private static void assertRefused(
            Matrix hidden, int[] targets, float[] bias, int columns, int rows, String... parts) {
        String message = assertThrows(InvalidDataException.class, () -> require(hidden, targets, bias, columns, rows))
                .getMessage();
        for (String part : parts) {
            assertTrue(message.contains(part), () -> message + " does not say: " + part);
        }
        assertTrue(message.endsWith("."), message);
    }

    @Test
    void refusesWhatDoesNotFitTheMatrix() {
        int[] targets = {3, 7};
        require(hidden, targets, new float[8], 2, 8);
        require(hidden, null, null, 2, 1);
        assertRefused(hidden, targets, null, 5, 8, "h has", "width 2", "5 columns");
        assertRefused(hidden, targets, null, 2, 7, "target 7", "index 1", "rows 0 to 6");
        assertRefused(hidden, new int[] {-1, 0}, null, 2, 8, "target -1", "index 0");
        assertRefused(hidden, new int[1], null, 2, 8, "2 hidden", "1 targets");
        assertRefused(hidden, targets, new float[7], 2, 8, "bias of w", "7 entries", "8 rows");
    }

    @Test
    void refusesWhatIsNotFinite() {
        assertRefused(
                Matrix.of("h", new float[] {1, 2, 3, Float.NaN}, 2, 2), null, null, 2, 8, "h holds", "NaN", "row 1");
        float[] bias = new float[8];
        bias[5] = Float.POSITIVE_INFINITY;
        assertRefused(hidden, null, bias, 2, 8, "bias of w", "Infinity", "index 5");
    }
}
