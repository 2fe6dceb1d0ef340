package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.SeededData;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class PriceSearchTest {
    private static final int ROWS = 3000;
    private static final int COLUMNS = 16;

    /** Of {@link #powerLaw}, about. */
    private static final Spectrum SPECTRUM = new Spectrum(
            4,
            IntStream.range(0, COLUMNS).mapToDouble(j -> Math.pow(j + 1, -1.4)).toArray());

    private static float[] powerLaw() {
        float[] values = SeededData.powerLaw(4, ROWS, COLUMNS, 0.7);
        return values;
    }

    private static StoragePlans plans(int bases, SizeUnit unit) {
        SizeModel model = new SizeModel("m", unit, COLUMNS, 0, Codec.INT8, ScaleScheme.COMPACT);
        StoragePlans.Wanted wanted = new StoragePlans.Wanted(Optional.empty(), List.of(Codec.INT8), 8, 60, 0);
        return StoragePlans.of(Collections.nCopies(bases, SPECTRUM), null, wanted, model);
    }

    /** Opens a matrix, rates all rows and searches. */
    private static <T> T search(float[] values, StoragePlans plans, int bases, Function<PriceSearch, T> question) {
        Matrix matrix = Matrix.of("m", values, values.length / COLUMNS, COLUMNS);
        float[] weights = new float[matrix.rows()];
        Arrays.fill(weights, 1);
        try (ReferenceBackend backend = new ReferenceBackend();
                CompressionWorkspace workspace = backend.open(CompressionProblem.weighted(matrix, weights))) {
            byte[] basisOf = new byte[matrix.rows()];
            for (int i = 0; i < basisOf.length; i++) {
                basisOf[i] = (byte) (i % bases);
            }
            workspace.accumulate(basisOf, bases);
            int[] ranks = new int[bases];
            Arrays.fill(ranks, COLUMNS);
            workspace.decompose(ranks);
            List<Directions> directions = new ArrayList<>();
            for (int b = 0; b < bases; b++) {
                directions.add(workspace.directions(b, COLUMNS));
            }
            workspace.rate(directions, plans.plans());
            return question.apply(new PriceSearch(workspace, plans, matrix.rows(), bases, 1));
        }
    }

    private static double bytes(StoragePlans plans, PriceSearch.Selection selection, int rows) {
        boolean[] used = new boolean[plans.plans().size()];
        used[0] = true; // zeros are always set aside for
        for (byte p : selection.groupOf()) {
            used[p & 0xff] = true;
        }
        double sum = plans.fixed(rows, used);
        for (byte p : selection.groupOf()) {
            sum += plans.costs()[p & 0xff];
        }
        for (int cap : selection.caps()) {
            sum += cap == 0 ? 0 : plans.model().right(cap);
        }
        return sum;
    }

    @Test
    void theSizeIsFilledAndNeverExceeded() {
        for (SizeUnit unit : SizeUnit.values()) {
            StoragePlans plans = plans(2, unit);
            double full = unit == SizeUnit.BYTES ? ROWS * (COLUMNS + 3.0) : ROWS * COLUMNS;
            double previous = Double.POSITIVE_INFINITY;
            for (double share : new double[] {0.15, 0.3, 0.5, 0.8}) {
                double budget = share * full;
                PriceSearch.Selection found = search(
                        powerLaw(),
                        plans,
                        2,
                        s -> s.fill(budget, new int[] {COLUMNS, COLUMNS}, true, Double.POSITIVE_INFINITY));
                String what = unit + ", " + share;
                assertEquals(found.bytes(), bytes(plans, found, ROWS), 1e-6 * budget, what);
                assertTrue(found.bytes() <= budget, what + ": " + found.bytes() + " of " + budget);
                assertTrue(found.bytes() >= 0.997 * budget, what + ": " + found.bytes() + " of " + budget);
                assertTrue(found.distortion() < previous, what);
                previous = found.distortion();
                for (int i = 0; i < ROWS; i++) {
                    GroupPlan plan = plans.plans().get(found.groupOf()[i] & 0xff);
                    assertTrue(!plan.isLowRank() || plan.rank() <= found.caps()[plan.basis()], what);
                }
            }
        }
    }

    @Test
    void withRoomForAllTheBestIsFree() {
        StoragePlans plans = plans(1, SizeUnit.BYTES);
        PriceSearch.Selection found =
                search(powerLaw(), plans, 1, s -> s.fill(1e9, new int[] {COLUMNS}, false, Double.POSITIVE_INFINITY));
        assertEquals(0, found.price());
        assertArrayEquals(new int[] {COLUMNS}, found.caps());
    }

    /** Rows that are all alike would change their minds all at once; as many as fit do. */
    @Test
    void equalRowsFillTheSizeToo() {
        float[] one = Arrays.copyOf(powerLaw(), COLUMNS);
        float[] values = new float[ROWS * COLUMNS];
        for (int i = 0; i < ROWS; i++) {
            System.arraycopy(one, 0, values, i * COLUMNS, COLUMNS);
        }
        StoragePlans plans = plans(1, SizeUnit.BYTES);
        double budget = 2.5 * ROWS;
        PriceSearch.Selection found =
                search(values, plans, 1, s -> s.fill(budget, new int[] {COLUMNS}, true, Double.POSITIVE_INFINITY));
        assertTrue(found.bytes() <= budget && found.bytes() == bytes(plans, found, ROWS));
        Set<Byte> kinds = new HashSet<>();
        for (byte p : found.groupOf()) {
            kinds.add(p);
        }
        assertEquals(2, kinds.size());
    }

    /** Even and odd rows are the same, and so are their bases: one of the two is worth its bytes. */
    @Test
    void aBasisThatDoesNotPayIsLeftOut() {
        float[] twins = powerLaw();
        for (int i = 0; i < ROWS; i += 2) {
            System.arraycopy(twins, i * COLUMNS, twins, (i + 1) * COLUMNS, COLUMNS);
        }
        StoragePlans plans = plans(2, SizeUnit.BYTES);
        double budget = 6.0 * ROWS;
        PriceSearch.Selection found = search(
                twins, plans, 2, s -> s.fill(budget, new int[] {COLUMNS, COLUMNS}, true, Double.POSITIVE_INFINITY));
        assertEquals(1, Arrays.stream(found.caps()).filter(cap -> cap == 0).count(), Arrays.toString(found.caps()));
        assertTrue(found.bytes() <= budget && found.bytes() > 0.995 * budget);
    }

    /** A byte numbers a row's plan. */
    @Test
    void manyBasesShareThePlansThatAByteNumbers() {
        SizeModel model = new SizeModel("m", SizeUnit.BYTES, COLUMNS, 0, Codec.INT8, ScaleScheme.COMPACT);
        StoragePlans.Wanted wanted = new StoragePlans.Wanted(Optional.empty(), List.of(Codec.values()), 8, 48, 0);
        for (int bases : new int[] {1, 7, 16}) {
            List<GroupPlan> made = StoragePlans.of(Collections.nCopies(bases, SPECTRUM), null, wanted, model)
                    .plans();
            assertTrue(made.size() <= GroupPlan.MAX_GROUPS, bases + " bases: " + made.size());
            assertEquals(bases - 1, made.getLast().basis());
        }
    }

    @Test
    void aSizeBelowTheGroupNumbersIsOutOfReach() {
        StoragePlans plans = plans(1, SizeUnit.BYTES);
        UnreachableTargetException e = assertThrows(
                UnreachableTargetException.class,
                () -> search(
                        powerLaw(),
                        plans,
                        1,
                        s -> s.fill(ROWS - 1, new int[] {COLUMNS}, true, Double.POSITIVE_INFINITY)));
        assertEquals((long) plans.fixed(ROWS, new boolean[] {true}), e.smallest());
    }
}
