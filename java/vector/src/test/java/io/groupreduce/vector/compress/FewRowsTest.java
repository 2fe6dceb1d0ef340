package io.groupreduce.vector.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.internal.linear.SymmetricEigen;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.testkit.Generators;
import io.groupreduce.vector.kernel.Numbers;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** Against the eigenvectors of the D x D matrix; the contract of backends has the metric and the rows of several bases. */
class FewRowsTest {
    private static final int COLUMNS = 420;

    private static float[] weights(int rows) {
        float[] weights = new float[rows];
        for (int i = 0; i < rows; i++) {
            weights[i] = 100f / (1 + i);
        }
        return weights;
    }

    private static Eigenpairs solve(Workers workers, float[] values, int rows, int rank) {
        return new FewRows(Matrix.of("rows", values, rows, COLUMNS), weights(rows), null)
                .solve(workers, Numbers.ascending(rows), rank);
    }

    /** {@code sum_i w_i ||A_i - its part along the vectors||^2}, in double. */
    private static double residual(float[] values, int rows, float[] vectors, int rank) {
        float[] weights = weights(rows);
        double sum = 0;
        for (int i = 0; i < rows; i++) {
            double[] rest = new double[COLUMNS];
            for (int j = 0; j < COLUMNS; j++) {
                rest[j] = values[i * COLUMNS + j];
            }
            for (int k = 0; k < rank; k++) {
                double coordinate = 0;
                for (int j = 0; j < COLUMNS; j++) {
                    coordinate += rest[j] * vectors[k * COLUMNS + j];
                }
                for (int j = 0; j < COLUMNS; j++) {
                    rest[j] -= coordinate * vectors[k * COLUMNS + j];
                }
            }
            sum += weights[i] * Arrays.stream(rest).map(v -> v * v).sum();
        }
        return sum;
    }

    @Test
    void losesWhatTheEigenvectorsOfTheGramMatrixLose() {
        // Both ways through the solver of the small matrix, and spectra from flat to steep.
        for (int rows : new int[] {1, 2, 60, 300}) {
            for (double power : new double[] {0, 1, 4}) {
                float[] values = Generators.powerLaw(7, rows, COLUMNS, power / 2);
                double[] gram = Numbers.gram(values, weights(rows), rows, COLUMNS);
                double[] exact = SymmetricEigen.of(gram, COLUMNS).values();
                double trace = Numbers.trace(gram, COLUMNS);
                for (int rank : new int[] {1, Math.min(20, rows), rows}) {
                    String what = rows + " rows, power " + power + ", rank " + rank;
                    Eigenpairs pairs = solve(Workers.NONE, values, rows, rank);
                    double expected = Arrays.stream(exact, rank, COLUMNS).sum();
                    assertEquals(
                            Math.max(0, expected),
                            residual(values, rows, pairs.vectors(), rank),
                            1e-4 * Math.abs(expected) + 1e-9 * trace,
                            what);
                    Numbers.assertOrthonormal(pairs.vectors(), rank, COLUMNS, what);
                    assertEquals(rank, pairs.values().length, what);
                    for (int j = 0; j < rank; j++) {
                        assertEquals(Math.max(0, exact[j]), pairs.values()[j], 1e-6 * trace, what + ", value " + j);
                    }
                }
            }
        }
    }

    @Test
    void rowsThatDependOnEachOtherHaveNoMoreEnergyThanTheyAreWorth() {
        int rows = 50;
        int rank = 50;
        float[] values = Generators.powerLaw(8, rows, COLUMNS, 0.5);
        // Rows of zeros, and copies: 10 rows are left.
        for (int i = 10; i < rows; i++) {
            System.arraycopy(i % 2 == 0 ? values : new float[COLUMNS], 0, values, i * COLUMNS, COLUMNS);
        }
        Eigenpairs pairs = solve(Workers.NONE, values, rows, rank);
        double trace = Numbers.trace(Numbers.gram(values, weights(rows), rows, COLUMNS), COLUMNS);
        Numbers.assertOrthonormal(pairs.vectors(), rank, COLUMNS, "dependent rows");
        assertTrue(residual(values, rows, pairs.vectors(), 10) < 1e-9 * trace, "ten directions hold it all");
        for (int j = 10; j < rank; j++) {
            assertTrue(pairs.values()[j] >= 0 && pairs.values()[j] < 1e-6 * trace, "value " + j);
        }
    }

    @Test
    void theMagnitudeOfRowsDoesNotMatter() {
        int rows = 40;
        float[] values = Generators.powerLaw(9, rows, COLUMNS, 2);
        double[] expected = solve(Workers.NONE, values, rows, rows).values();
        for (double factor : new double[] {1e-14, 1e14}) {
            float[] scaled = new float[values.length];
            for (int j = 0; j < values.length; j++) {
                scaled[j] = (float) (values[j] * factor);
            }
            Eigenpairs pairs = solve(Workers.NONE, scaled, rows, rows);
            Numbers.assertOrthonormal(pairs.vectors(), rows, COLUMNS, "times " + factor);
            double loss = residual(scaled, rows, pairs.vectors(), rows);
            assertTrue(loss < 1e-9 * factor * factor * expected[0], "times " + factor + ": " + loss);
            assertEquals(expected[0], pairs.values()[0] / factor / factor, 1e-5 * expected[0], "times " + factor);
        }
    }

    @Test
    void noRowsAndRowsOfZerosHaveUnitVectorsWithoutEnergy() {
        for (int rows : new int[] {0, 3}) {
            Eigenpairs pairs = new FewRows(Matrix.of("zeros", new float[3 * COLUMNS], 3, COLUMNS), weights(3), null)
                    .solve(Workers.NONE, Numbers.ascending(rows), 5);
            assertArrayEquals(new double[5], pairs.values());
            Numbers.assertOrthonormal(pairs.vectors(), 5, COLUMNS, rows + " rows");
        }
    }

    @Test
    void theNumberOfThreadsChangesNoBit() {
        int rows = 300;
        float[] values = Generators.powerLaw(10, rows, COLUMNS, 0.5);
        for (int rank : new int[] {20, rows}) {
            Eigenpairs expected = solve(Workers.NONE, values, rows, rank);
            for (int threads = 1; threads <= 3; threads++) {
                try (Workers workers = new Workers(threads)) {
                    Eigenpairs found = solve(workers, values, rows, rank);
                    assertArrayEquals(expected.values(), found.values(), threads + " threads");
                    assertArrayEquals(expected.vectors(), found.vectors(), threads + " threads");
                }
            }
        }
    }
}
