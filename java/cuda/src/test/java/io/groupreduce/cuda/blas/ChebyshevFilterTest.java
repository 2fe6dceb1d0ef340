package io.groupreduce.cuda.blas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class ChebyshevFilterTest {
    @Test
    void theBoundIsTheLeastOfTheBlockOrJustBelowTheLastWanted() {
        double[] falling = {8, 4, 2, 1};
        assertEquals(1.6, ChebyshevFilter.after(falling, new double[4], 3).bound(), 1e-15);
        double[] level = {8, 4, 2, 1.9};
        assertEquals(1.9, ChebyshevFilter.after(level, new double[4], 3).bound());
        double[] equal = {8, 4, 4, 4};
        assertEquals(3.98, ChebyshevFilter.after(equal, new double[4], 3).bound(), 1e-15);
        double[] nothing = {8, 0, 0, -1e-17};
        assertEquals(8e-12, ChebyshevFilter.after(nothing, new double[4], 2).bound(), 1e-25);
    }

    @Test
    void theDegreeIsTheHighestThatImpuritiesAllow() {
        double[] values = {3, 2, 1, 1};
        assertEquals(
                degree(2 * 3 / 1.6 - 1, 1e6), ChebyshevFilter.warm(values, 2).degree());
        for (double impurity : new double[] {1e-6, 1e-3, 0.5}) {
            double[] squares = {Math.pow(impurity * 3, 2), 0, 0, 0};
            ChebyshevFilter filter = ChebyshevFilter.after(values, squares, 2);
            assertEquals(1.6, filter.bound(), 1e-15);
            assertEquals(degree(2 * 3 / 1.6 - 1, 1e6 / impurity), filter.degree(), "impurity " + impurity);
        }
    }

    @Test
    void theDegreeIsBetweenOneAndTheMost() {
        assertEquals(1, ChebyshevFilter.warm(new double[] {1e9, 1e-3, 1e-3}, 2).degree());
        double[] level = new double[8];
        Arrays.fill(level, 5);
        assertEquals(ChebyshevFilter.MAX_DEGREE, ChebyshevFilter.warm(level, 4).degree());
    }

    @Test
    void aFilterOfNothingIsTheIdentity() {
        assertEquals(0, ChebyshevFilter.cold(0, 7).factor());
        assertEquals(0, ChebyshevFilter.warm(new double[5], 3).factor());
        assertTrue(ChebyshevFilter.warm(new double[5], 3).degree() >= 1);
    }

    @Test
    void aColdStartCutsAtTheMeanEigenvalue() {
        assertEquals(new ChebyshevFilter(3, 2), ChebyshevFilter.cold(21, 7));
        assertEquals(2.0 / 3, ChebyshevFilter.cold(21, 7).factor());
    }

    /** The highest m with {@code T_m(x) <= growth}, by the closed form. */
    private static int degree(double x, double growth) {
        double angle = Math.log(x + Math.sqrt(x * x - 1));
        int m = 1;
        while (Math.cosh((m + 1) * angle) <= growth) {
            m++;
        }
        return m;
    }
}
