package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Evaluation;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class EvaluationTest {
    private static final int ROWS = 15;
    private static final int COLUMNS = 4;
    private static final int TOKENS = 6;

    private final float[] values = normal(1, ROWS * COLUMNS);
    private final float[] stored = values.clone();
    private final float[] states = normal(2, TOKENS * COLUMNS);
    private final float[] bias = normal(3, ROWS);
    private float[] ownBias;
    private final int[] targets = {0, 14, 3, 7, 7, 1};

    private static float[] normal(long seed, int count) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    private Evaluation evaluate(int[] wanted) {
        Matrix dense = Matrix.of("dense", values, ROWS, COLUMNS);
        EncodedMatrix rows = EncodedMatrix.allocate(Arena.ofAuto(), BitProfile.of(Codec.F32, COLUMNS), ROWS, COLUMNS);
        for (int i = 0; i < ROWS; i++) {
            rows.encodeRow(i, stored, i * COLUMNS);
        }
        List<GroupPlan> plans = List.of(GroupPlan.dense(COLUMNS, Codec.F32));
        CompressedMatrix compressed =
                new CompressedMatrix("compressed", COLUMNS, new byte[ROWS], plans, List.of(rows), List.of());
        try (ReferenceBackend backend = new ReferenceBackend()) {
            return GroupReduce.evaluate(
                    backend,
                    dense,
                    bias,
                    compressed.withBias(ownBias),
                    Matrix.of("hidden", states, TOKENS, COLUMNS),
                    wanted);
        }
    }

    private void assertRefused(int[] wanted, String... parts) {
        InvalidDataException e = assertThrows(InvalidDataException.class, () -> evaluate(wanted));
        for (String part : parts) {
            assertTrue(e.getMessage().contains(part), e.getMessage());
        }
        assertTrue(e.getMessage().endsWith("."), e.getMessage());
    }

    @Test
    void aMatrixAgreesWithItself() {
        Evaluation same = evaluate(targets);
        assertEquals(0, same.kl().mean(), 1e-12);
        assertEquals(1, same.top1().mean());
        assertEquals(1, same.top10().mean());
        assertEquals(0, same.perplexityIncrease().mean(), 1e-12);
        assertEquals(0, same.lossIncrease(), 1e-12);
        assertFalse(evaluate(null).hasPerplexity());
    }

    @Test
    void everyOtherMatrixDiverges() {
        stored[5] += 2;
        Evaluation other = evaluate(targets);
        assertTrue(other.kl().mean() > 1e-4, other.toString());
        assertTrue(other.hasPerplexity());
        double rise = Math.log(other.compressedPerplexity()) / Math.log(other.densePerplexity()) - 1;
        assertEquals(rise, other.lossIncrease(), 1e-12);
    }

    @Test
    void aBiasOfItsOwnReplacesTheModelsOnTheCompressedSide() {
        float[] rounded = new float[ROWS];
        for (int i = 0; i < ROWS; i++) {
            rounded[i] = Bf16.widen(Bf16.round(bias[i]));
        }
        ownBias = bias.clone();
        double before = evaluate(targets).densePerplexity();
        assertEquals(0, evaluate(targets).kl().mean(), 1e-4);
        // Ten more on token 14, which is the target of one state of six.
        ownBias[14] += 10;
        Evaluation other = evaluate(targets);
        assertTrue(other.kl().mean() > 1, other.toString());
        assertEquals(before, other.densePerplexity());
        System.arraycopy(rounded, 0, bias, 0, ROWS);
        ownBias = rounded;
        assertEquals(0, evaluate(targets).kl().mean(), 1e-12);
    }

    @Test
    void targetsMustBeRowsOneForEachState() {
        assertRefused(new int[TOKENS - 1], "hidden", "5 targets");
        assertRefused(new int[] {0, 1, ROWS, 0, 0, 0}, "index 2", "15");
        assertRefused(new int[] {0, 1, 2, 0, 0, -1}, "index 5", "-1");
    }

    @Test
    void hiddenStatesMustBeFinite() {
        states[COLUMNS + 2] = Float.NaN;
        assertRefused(targets, "hidden", "row 1, column 2");
    }

    @Test
    void theDenseMatrixMustBeFinite() {
        values[2 * COLUMNS] = Float.NEGATIVE_INFINITY;
        assertRefused(null, "dense", "row 2, column 0");
    }

    @Test
    void theBiasMustBeFinite() {
        bias[4] = Float.NaN;
        assertRefused(null, "bias", "index 4");
    }

    @Test
    void factorsThatAreNotFiniteAreNoticedInTheResult() {
        stored[9] = Float.NaN;
        assertRefused(null, "compressed", "not all finite");
        assertRefused(targets, "compressed", "not all finite");
    }
}
