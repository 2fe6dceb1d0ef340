package io.groupreduce.vector.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.internal.linear.SymmetricEigen;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.testkit.Generators;
import io.groupreduce.vector.kernel.Numbers;
import io.groupreduce.vector.kernel.TriangularGram;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class TruncatedEigenTest {
    private static final int COLUMNS = 301;

    private static TriangularGram gram(float[] values, int rows) {
        float[] weights = new float[rows];
        Arrays.fill(weights, 1f);
        TriangularGram gram = new TriangularGram(COLUMNS);
        new GramAccumulator(Workers.NONE, Matrix.of("rows", values, rows, COLUMNS), weights)
                .add(gram, Numbers.ascending(rows), 0, rows, 1);
        return gram;
    }

    /** The energy that the vectors capture, computed anew from the Gram matrix and not from the Ritz values. */
    private static double captured(double[] gram, float[] vectors, int rank) {
        double sum = 0;
        for (int a = 0; a < rank; a++) {
            for (int i = 0; i < COLUMNS; i++) {
                double row = 0;
                for (int j = 0; j < COLUMNS; j++) {
                    row += gram[i * COLUMNS + j] * vectors[a * COLUMNS + j];
                }
                sum += row * vectors[a * COLUMNS + i];
            }
        }
        return sum;
    }

    @Test
    void capturesWhatTheFullDecompositionDoes() {
        int rows = 900;
        for (double power : new double[] {0, 0.5, 1, 2, 4}) {
            TriangularGram gram = gram(Generators.powerLaw(7, rows, COLUMNS, power / 2), rows);
            double[] dense = gram.toDense();
            double[] exact = SymmetricEigen.of(dense, COLUMNS).values();
            for (int rank : new int[] {1, 20, 90}) {
                String what = "power " + power + ", rank " + rank;
                double scale = gram.largest();
                Eigenpairs pairs = TruncatedEigen.of(Workers.NONE, gram.toPacked(1 / scale), rank, null);
                double expected = Arrays.stream(exact, 0, rank).sum();
                assertEquals(expected, captured(dense, pairs.vectors(), rank), 1e-5 * expected, what);
                assertEquals(expected, scale * Arrays.stream(pairs.values()).sum(), 1e-5 * expected, what);
                Numbers.assertOrthonormal(pairs.vectors(), rank, COLUMNS, what);
                for (int j = 1; j < rank; j++) {
                    assertTrue(pairs.values()[j] <= pairs.values()[j - 1], what + ": values fall");
                }
            }
        }
    }

    @Test
    void fewerRowsThanDirectionsGiveZeroValuesAndStillUnitVectors() {
        int rows = 9;
        int rank = 25;
        TriangularGram gram = gram(Numbers.random(8, rows * COLUMNS), rows);
        double[] dense = gram.toDense();
        Eigenpairs pairs = TruncatedEigen.of(Workers.NONE, gram.toPacked(1), rank, null);
        double trace = Numbers.trace(dense, COLUMNS);
        assertEquals(trace, Arrays.stream(pairs.values()).sum(), 1e-5 * trace);
        for (int j = rows; j < rank; j++) {
            assertTrue(pairs.values()[j] >= 0 && pairs.values()[j] < 1e-6 * trace, "value " + j);
        }
        Numbers.assertOrthonormal(pairs.vectors(), rank, COLUMNS, "rank deficient");
    }

    @Test
    void anEmptyBasisHasZeroValuesAndUnitVectors() {
        Eigenpairs pairs = new BasisSolver(COLUMNS, null).solve(Workers.NONE, new TriangularGram(COLUMNS), 5, null);
        assertArrayEquals(new double[5], pairs.values());
        Numbers.assertOrthonormal(pairs.vectors(), 5, COLUMNS, "empty");
    }

    @Test
    void aGuessThatMissesANewDirectionDoesNotHideIt() {
        int rows = 900;
        int rank = 20;
        float[] values = Generators.powerLaw(9, rows, COLUMNS, 0.5);
        TriangularGram before = gram(values, rows);
        float[] guess =
                TruncatedEigen.of(Workers.NONE, before.toPacked(1), rank, null).vectors();
        float[] fresh = Numbers.random(10, COLUMNS);
        for (int j = 0; j < COLUMNS; j++) {
            values[j] = 10 * fresh[j];
        }
        TriangularGram after = gram(values, rows);
        double expected = Arrays.stream(
                        SymmetricEigen.of(after.toDense(), COLUMNS).values(), 0, rank)
                .sum();
        Eigenpairs pairs = TruncatedEigen.of(Workers.NONE, after.toPacked(1), rank, guess);
        assertEquals(expected, Arrays.stream(pairs.values()).sum(), 1e-5 * expected);
    }

    @Test
    void truncatedAndFullAgreeUnderAMetric() {
        int rows = 900;
        int rank = 30;
        TriangularGram gram = gram(Generators.powerLaw(11, rows, COLUMNS, 0.5), rows);
        double[] root = metricRoot();
        double[] expectedGram = sandwich(gram.toDense(), root);
        double expected = Arrays.stream(SymmetricEigen.of(expectedGram, COLUMNS).values(), 0, rank)
                .sum();
        Eigenpairs pairs = new BasisSolver(COLUMNS, root).solve(Workers.NONE, gram, rank, null);
        assertTrue(TruncatedEigen.pays(COLUMNS, rank, false), "the truncated solver is what is tested");
        assertEquals(expected, captured(expectedGram, pairs.vectors(), rank), 1e-5 * expected);
        Eigenpairs full = new BasisSolver(COLUMNS, root).solve(Workers.NONE, gram, COLUMNS, null);
        assertEquals(expected, Arrays.stream(full.values(), 0, rank).sum(), 1e-6 * expected);
    }

    /** A symmetric matrix whose condition number is about 100. */
    private static double[] metricRoot() {
        float[] noise = Generators.powerLaw(12, COLUMNS, COLUMNS, 0.5);
        double[] root = Numbers.gram(noise, ones(), COLUMNS, COLUMNS);
        double ridge = Numbers.trace(root, COLUMNS) / COLUMNS / 10;
        for (int j = 0; j < COLUMNS; j++) {
            root[j * COLUMNS + j] += ridge;
        }
        return root;
    }

    private static float[] ones() {
        float[] ones = new float[COLUMNS];
        Arrays.fill(ones, 1f);
        return ones;
    }

    private static double[] sandwich(double[] gram, double[] root) {
        return product(root, product(gram, root));
    }

    private static double[] product(double[] a, double[] b) {
        double[] c = new double[a.length];
        for (int i = 0; i < COLUMNS; i++) {
            for (int k = 0; k < COLUMNS; k++) {
                for (int j = 0; j < COLUMNS; j++) {
                    c[i * COLUMNS + j] += a[i * COLUMNS + k] * b[k * COLUMNS + j];
                }
            }
        }
        return c;
    }
}
