package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.SeededData;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.NormalEquations;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class RightFactorTest {
    private static final DenseAlgebra ALGEBRA = new DenseAlgebra(new ReferenceBackend()::forEach);

    private static final int ROWS = 200;
    private static final int COLUMNS = 18;
    private static final int RANK = 7;

    private final SplittableRandom random = new SplittableRandom(1);
    private final MetricRoot metric = metric();
    private final double[] left = gaussian(ROWS * RANK);
    private final double[] rows = gaussian(ROWS * COLUMNS);
    private final double[] weights = new double[ROWS];

    private double[] gaussian(int length) {
        double[] values = new double[length];
        Arrays.setAll(values, j -> random.nextGaussian());
        return values;
    }

    private static MetricRoot metric() {
        float[] states = SeededData.powerLaw(2, 300, COLUMNS, 0.8);
        return MetricRoot.ofHidden(ALGEBRA, Matrix.of("states", states, 300, COLUMNS));
    }

    /** Of rows of different lengths: row i keeps its first coordinates only. */
    private NormalEquations equations() {
        double[] gram = new double[RANK * RANK];
        double[] cross = new double[RANK * COLUMNS];
        for (int i = 0; i < ROWS; i++) {
            weights[i] = Math.exp(random.nextGaussian());
            Arrays.fill(left, i * RANK + 1 + random.nextInt(RANK), (i + 1) * RANK, 0);
            for (int j = 0; j < RANK; j++) {
                double l = weights[i] * left[i * RANK + j];
                for (int k = 0; k < RANK; k++) {
                    gram[j * RANK + k] += l * left[i * RANK + k];
                }
                for (int c = 0; c < COLUMNS; c++) {
                    cross[j * COLUMNS + c] += l * rows[i * COLUMNS + c];
                }
            }
        }
        return new NormalEquations(RANK, gram, cross);
    }

    /** sum_i w_i ||(A_i - L_i R) S||^2. */
    private double loss(double[] right) {
        double sum = 0;
        double[] gap = new double[COLUMNS];
        for (int i = 0; i < ROWS; i++) {
            for (int c = 0; c < COLUMNS; c++) {
                gap[c] = rows[i * COLUMNS + c];
                for (int k = 0; k < RANK; k++) {
                    gap[c] -= left[i * RANK + k] * right[k * COLUMNS + c];
                }
            }
            for (int c = 0; c < COLUMNS; c++) {
                double y = 0;
                for (int d = 0; d < COLUMNS; d++) {
                    y += gap[d] * metric.root()[d * COLUMNS + c];
                }
                sum += weights[i] * y * y;
            }
        }
        return sum;
    }

    @Test
    void theFitSolvesTheNormalEquations() {
        NormalEquations equations = equations();
        double[] right = RightFactor.fit(ALGEBRA, equations, COLUMNS, Codec.F32);
        double largest = Arrays.stream(equations.cross()).map(Math::abs).max().orElseThrow();
        for (int j = 0; j < RANK; j++) {
            for (int c = 0; c < COLUMNS; c++) {
                double product = 0;
                for (int k = 0; k < RANK; k++) {
                    product += equations.gram()[j * RANK + k] * right[k * COLUMNS + c];
                }
                assertEquals(equations.cross()[j * COLUMNS + c], product, 1e-6 * largest);
            }
        }
    }

    @Test
    void noPerturbationLowersTheLossWhateverTheMetric() {
        double[] right = RightFactor.fit(ALGEBRA, equations(), COLUMNS, Codec.F32);
        double least = loss(right);
        for (int trial = 0; trial < 50; trial++) {
            double size = Math.pow(10, -3 + 3 * random.nextDouble());
            double[] other = right.clone();
            for (int j = 0; j < other.length; j++) {
                other[j] += size * random.nextGaussian();
            }
            assertTrue(loss(other) > least, "trial " + trial);
        }
    }

    @Test
    void aCoordinateThatNoRowUsesLeavesTheFitFinite() {
        NormalEquations equations = equations();
        for (int k = 0; k < RANK; k++) {
            equations.gram()[k * RANK + 3] = 0;
            equations.gram()[3 * RANK + k] = 0;
        }
        Arrays.fill(equations.cross(), 3 * COLUMNS, 4 * COLUMNS, 0);
        double[] right = RightFactor.fit(ALGEBRA, equations, COLUMNS, Codec.F32);
        assertTrue(Arrays.stream(right).allMatch(Double::isFinite));
        assertTrue(Arrays.stream(right, 3 * COLUMNS, 4 * COLUMNS).allMatch(value -> value == 0));
    }

    @Test
    void directionsAreOrthonormalAndPrefixesSpanWhatTheySpanned() {
        double[] right = gaussian(RANK * COLUMNS);
        for (MetricRoot under : new MetricRoot[] {null, metric}) {
            Directions directions = RightFactor.directions(ALGEBRA, right, RANK, COLUMNS, under, new float[COLUMNS]);
            // In the space of A S: right_j S, and q_j = projection_j S^-1 = back_j S.
            double[] target = times(right, under == null ? null : under.root());
            double[] q = times(wide(directions.right()), under == null ? null : under.root());
            double[] other = times(wide(directions.projection()), under == null ? null : under.rootInverse());
            for (int j = 0; j < RANK; j++) {
                for (int k = 0; k < RANK; k++) {
                    assertEquals(j == k ? 1 : 0, dot(q, j, q, k), 1e-4, j + ", " + k);
                    assertEquals(j == k ? 1 : 0, dot(other, j, q, k), 1e-4, j + ", " + k);
                }
                // Row j lies in the span of the first j + 1 directions: its projections there hold all its energy.
                double energy = 0;
                for (int k = 0; k <= j; k++) {
                    energy += Math.pow(dot(target, j, q, k), 2);
                }
                assertEquals(1, energy / dot(target, j, target, j), 1e-4, "row " + j);
            }
            assertEquals(RANK, directions.scales().length);
        }
    }

    @Test
    void aRowThatDependsOnThoseBeforeItDropsOut() {
        double[] right = gaussian(RANK * COLUMNS);
        System.arraycopy(right, 0, right, 2 * COLUMNS, COLUMNS);
        Directions directions = RightFactor.directions(ALGEBRA, right, RANK, COLUMNS, null, new float[COLUMNS]);
        double[] q = wide(directions.projection());
        for (int j = 0; j < RANK; j++) {
            assertEquals(j == 2 ? 0 : 1, dot(q, j, q, j), 1e-4, "direction " + j);
        }
    }

    private static double[] wide(float[] values) {
        double[] wide = new double[values.length];
        Arrays.setAll(wide, j -> values[j]);
        return wide;
    }

    /** a, RANK x COLUMNS, times a square matrix; {@code null} is the identity. */
    private static double[] times(double[] a, double[] square) {
        if (square == null) {
            return a;
        }
        double[] product = new double[a.length];
        for (int i = 0; i < RANK; i++) {
            for (int j = 0; j < COLUMNS; j++) {
                for (int k = 0; k < COLUMNS; k++) {
                    product[i * COLUMNS + j] += a[i * COLUMNS + k] * square[k * COLUMNS + j];
                }
            }
        }
        return product;
    }

    private static double dot(double[] a, int i, double[] b, int j) {
        double sum = 0;
        for (int c = 0; c < COLUMNS; c++) {
            sum += a[i * COLUMNS + c] * b[j * COLUMNS + c];
        }
        return sum;
    }
}
