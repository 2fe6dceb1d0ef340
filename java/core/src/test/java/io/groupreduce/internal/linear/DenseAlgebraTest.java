package io.groupreduce.internal.linear;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class DenseAlgebraTest {
    /** More than four tiles of elimination, none of them whole. */
    private static final int N = 293;

    private static final int COLUMNS = 131;

    private static final Parallel ALONE =
            (tasks, task) -> IntStream.range(0, tasks).forEach(task);

    private static double[] random(long seed, int length) {
        return new SplittableRandom(seed).doubles(length, -1, 1).toArray();
    }

    /** X X^T for X of N x (N + 40). */
    private static double[] definite(DenseAlgebra algebra) {
        return algebra.outer(random(1, N * (N + 40)), N, N + 40);
    }

    private static double[] solved(DenseAlgebra algebra) {
        double[] factor = definite(algebra);
        double[] solution = random(2, N * COLUMNS);
        algebra.cholesky(factor, N);
        algebra.forward(factor, N, solution, COLUMNS);
        algebra.backward(factor, N, solution, COLUMNS);
        return solution;
    }

    private static double[] moment(DenseAlgebra algebra) {
        double[] sum = new double[N * N];
        algebra.addOuterProducts(sum, N, random(3, 70 * N), random(4, 70), 70);
        return sum;
    }

    @Test
    void whatIsSolvedSolves() {
        DenseAlgebra algebra = new DenseAlgebra(ALONE);
        double[] solution = solved(algebra);
        double[] matrix = definite(algebra);
        double[] wanted = random(2, N * COLUMNS);
        for (int i = 0; i < N; i++) {
            for (int c = 0; c < COLUMNS; c++) {
                double sum = 0;
                double size = 1;
                for (int k = 0; k < N; k++) {
                    sum += matrix[i * N + k] * solution[k * COLUMNS + c];
                    size += Math.abs(matrix[i * N + k] * solution[k * COLUMNS + c]);
                }
                assertEquals(wanted[i * COLUMNS + c], sum, 1e-11 * size, "row " + i + ", column " + c);
            }
        }
    }

    @Test
    void productsAndMomentsAreThoseOfPlainLoops() {
        DenseAlgebra algebra = new DenseAlgebra(ALONE);
        double[] moment = moment(algebra);
        double[] vectors = random(3, 70 * N);
        double[] factors = random(4, 70);
        double[] left = random(5, 3 * N);
        double[] product = algebra.multiply(left, 3, N, moment);
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) {
                double sum = 0;
                for (int k = 0; k < 70; k++) {
                    sum += factors[k] * vectors[k * N + i] * vectors[k * N + j];
                }
                assertEquals(sum, moment[i * N + j], 1e-12 * 70);
            }
        }
        for (int r = 0; r < 3; r++) {
            for (int j = 0; j < N; j++) {
                double sum = 0;
                for (int k = 0; k < N; k++) {
                    sum += left[r * N + k] * moment[k * N + j];
                }
                assertEquals(sum, product[r * N + j], 1e-12 * 70 * N);
            }
        }
    }

    /** A row that is a multiple of another, or zero, adds no direction: it drops out instead of becoming infinite. */
    @Test
    void dependentDirectionsDropOut() {
        double[] rows = {1, 2, 0, 2, 4, 0, 0, 1, 1, 0, 0, 0};
        DenseAlgebra algebra = new DenseAlgebra(ALONE);
        double[] gram = algebra.outer(rows, 4, 3);
        algebra.cholesky(gram, 4);
        double[] directions = rows.clone();
        algebra.forward(gram, 4, directions, 3);
        assertArrayEquals(new double[3], Arrays.copyOfRange(directions, 3, 6), 1e-15);
        assertArrayEquals(new double[3], Arrays.copyOfRange(directions, 9, 12), 1e-15);
        double norm = 0;
        for (int j = 6; j < 9; j++) {
            norm += directions[j] * directions[j];
        }
        assertEquals(1, norm, 1e-14);
    }

    @Test
    void theSameBitsWhoeverRunsTheTasks() {
        try (ForkJoinPool pool = new ForkJoinPool(3)) {
            Parallel shared = (tasks, task) -> pool.submit(
                            () -> IntStream.range(0, tasks).parallel().forEach(task))
                    .join();
            Parallel backwards = (tasks, task) ->
                    IntStream.range(0, tasks).map(t -> tasks - 1 - t).forEach(task);
            for (Function<DenseAlgebra, double[]> step :
                    List.<Function<DenseAlgebra, double[]>>of(DenseAlgebraTest::solved, DenseAlgebraTest::moment)) {
                double[] alone = step.apply(new DenseAlgebra(ALONE));
                assertArrayEquals(alone, step.apply(new DenseAlgebra(shared)));
                assertArrayEquals(alone, step.apply(new DenseAlgebra(backwards)));
            }
        }
    }

    /** Nothing runs on threads that were not given: what a backend may use is what it was started with. */
    @Test
    void onlyTheGivenThreadsWork() {
        Thread here = Thread.currentThread();
        int[] calls = {0};
        solved(new DenseAlgebra((tasks, task) -> {
            calls[0]++;
            for (int t = 0; t < tasks; t++) {
                assertEquals(here, Thread.currentThread());
                task.accept(t);
            }
        }));
        assertTrue(calls[0] > 3, calls[0] + " shared steps");
    }
}
