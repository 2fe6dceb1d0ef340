package io.groupreduce.vector.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.internal.linear.SymmetricEigen;
import io.groupreduce.vector.kernel.Workers;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Eigenpairs of matrices of every kind that is hard for a decomposition, against ojAlgo's values and the definition. */
class FullEigenTest {
    private static final int SEED = 20261130;

    record Case(String name, int n, double[] matrix) {
        @Override
        public String toString() {
            return name + ", " + n + ", seed " + SEED;
        }
    }

    static Stream<Case> cases() {
        return Stream.of(49, 130, 227).flatMap(FullEigenTest::cases);
    }

    private static Stream<Case> cases(int n) {
        double[] falling = new double[n];
        double[] steep = new double[n];
        double[] few = new double[n];
        double[] equal = new double[n];
        double[] clusters = new double[n];
        double[] mixed = new double[n];
        for (int j = 0; j < n; j++) {
            falling[j] = Math.pow(j + 1, -0.7);
            steep[j] = Math.pow(10, -0.1 * j);
            few[j] = j < 7 ? 7 - j : 0;
            equal[j] = 3;
            clusters[j] = 1 + j / 10 + 1e-13 * j;
            mixed[j] = j % 2 == 0 ? j : -j;
        }
        return Stream.of(
                new Case("falling", n, of(falling)),
                new Case("steep", n, of(steep)),
                new Case("few directions", n, of(few)),
                new Case("all alike", n, of(equal)),
                new Case("clusters", n, of(clusters)),
                new Case("both signs", n, of(mixed)),
                new Case("huge", n, scaled(of(falling), 1e300)),
                new Case("tiny", n, scaled(of(falling), 1e-300)),
                new Case("diagonal", n, diagonal(mixed)),
                new Case("zeros", n, new double[n * n]),
                new Case("two blocks", n, blocks(n)),
                new Case("Wilkinson", n, wilkinson(n, n, 1)),
                new Case("glued Wilkinson", n, wilkinson(n, 21, 1e-8)),
                new Case("one direction", n, graded(n, 0)),
                new Case("falling by 1e-2 each", n, graded(n, -1)),
                new Case("rising by 1e2 each", n, graded(n, 1)));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void valuesAndVectorsAreThoseOfTheMatrix(Case c) {
        int n = c.n();
        double[] exact = SymmetricEigen.of(c.matrix(), n).values();
        double size = Math.max(Math.abs(exact[0]), Math.abs(exact[n - 1]));
        int rank = n - 5;
        try (Workers workers = new Workers(3)) {
            Eigenpairs found = FullEigen.divided(workers, c.matrix().clone(), n, rank);
            for (int j = 0; j < rank; j++) {
                assertEquals(exact[j], found.values()[j], 1e-13 * size, "value " + j);
                assertTrue(residual(c.matrix(), n, found, j) <= 3e-6 * size, "vector " + j);
                for (int i = 0; i <= j; i++) {
                    assertEquals(i == j ? 1 : 0, dot(found.vectors(), i, j, n), 3e-6, i + " with " + j);
                }
            }
            Eigenpairs alone = FullEigen.divided(Workers.NONE, c.matrix().clone(), n, rank);
            assertArrayEquals(found.values(), alone.values(), 0);
            assertArrayEquals(found.vectors(), alone.vectors(), 0);
        }
    }

    /** The largest number of {@code A v - lambda v}. */
    private static double residual(double[] matrix, int n, Eigenpairs pairs, int j) {
        double largest = 0;
        for (int i = 0; i < n; i++) {
            double sum = -pairs.values()[j] * pairs.vectors()[j * n + i];
            for (int k = 0; k < n; k++) {
                sum += matrix[i * n + k] * pairs.vectors()[j * n + k];
            }
            largest = Math.max(largest, Math.abs(sum));
        }
        return largest;
    }

    private static double dot(float[] vectors, int i, int j, int n) {
        double sum = 0;
        for (int k = 0; k < n; k++) {
            sum += (double) vectors[i * n + k] * vectors[j * n + k];
        }
        return sum;
    }

    /** A matrix of these eigenvalues: turned by some random reflections. */
    private static double[] of(double[] values) {
        int n = values.length;
        double[] a = diagonal(values);
        Random random = new Random(SEED);
        for (int turn = 0; turn < 4; turn++) {
            double[] v = random.doubles(n, -1, 1).toArray();
            double squares = 0;
            for (double x : v) {
                squares += x * x;
            }
            double[] w = new double[n];
            double along = 0;
            for (int i = 0; i < n; i++) {
                for (int j = 0; j < n; j++) {
                    w[i] += 2 / squares * a[i * n + j] * v[j];
                }
                along += w[i] * v[i] / squares;
            }
            for (int i = 0; i < n; i++) {
                for (int j = 0; j < n; j++) {
                    a[i * n + j] -= v[i] * w[j] + w[i] * v[j] - 2 * along * v[i] * v[j];
                }
            }
        }
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < i; j++) {
                a[i * n + j] = a[j * n + i];
            }
        }
        return a;
    }

    private static double[] scaled(double[] matrix, double by) {
        for (int x = 0; x < matrix.length; x++) {
            matrix[x] *= by;
        }
        return matrix;
    }

    private static double[] diagonal(double[] values) {
        int n = values.length;
        double[] a = new double[n * n];
        for (int j = 0; j < n; j++) {
            a[j * n + j] = values[j];
        }
        return a;
    }

    private static double[] blocks(int n) {
        double[] a = new double[n * n];
        Random random = new Random(SEED);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j <= i; j++) {
                if (i < n / 3 == j < n / 3) {
                    a[i * n + j] = random.nextGaussian();
                    a[j * n + i] = a[i * n + j];
                }
            }
        }
        return a;
    }

    /** Pairs of eigenvalues that agree to many digits, of vectors that do not; in several blocks, many of them. */
    private static double[] wilkinson(int n, int block, double between) {
        double[] a = new double[n * n];
        for (int j = 0; j < n; j++) {
            a[j * n + j] = Math.abs(j % block - (block - 1) / 2.0);
            if (j + 1 < n) {
                a[j * n + j + 1] = (j + 1) % block == 0 ? between : 1;
                a[(j + 1) * n + j] = a[j * n + j + 1];
            }
        }
        return a;
    }

    /** Numbers of all sizes, down to those whose squares underflow, that grow or fall along the diagonal; at power 0 of rank one. */
    private static double[] graded(int n, int power) {
        double[] a = new double[n * n];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                int behind = power > 0 ? n - 1 : 0;
                double size = Math.pow(10, power * (i + j - 2 * behind));
                a[i * n + j] = Math.sin(1 + i) * Math.sin(1 + j) * size + (i == j && power != 0 ? size : 0);
            }
        }
        return a;
    }
}
