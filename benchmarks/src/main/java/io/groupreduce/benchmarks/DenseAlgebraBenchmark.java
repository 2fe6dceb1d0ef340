package io.groupreduce.benchmarks;

import io.groupreduce.internal.linear.DenseAlgebra;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.ojalgo.matrix.decomposition.Cholesky;
import org.ojalgo.matrix.store.MatrixStore;
import org.ojalgo.matrix.store.R064Store;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The dense algebra between steps, one thread, against ojAlgo, whose arrays are column-major and so are copied in and out: normal
 * equations of {@code order} directions and columns, a product, and a second moment of as many vectors.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class DenseAlgebraBenchmark {
    @Param({"200", "512", "1024"})
    int order;

    private final DenseAlgebra algebra = new DenseAlgebra((tasks, task) -> {
        for (int t = 0; t < tasks; t++) {
            task.accept(t);
        }
    });

    private double[] gram;
    private double[] values;
    private double[] ones;

    @Setup
    public void setUp() {
        SplittableRandom random = new SplittableRandom(1);
        values = random.doubles((long) order * order, -1, 1).toArray();
        double[] tall = random.doubles(2L * order * order, -1, 1).toArray();
        gram = algebra.outer(tall, order, 2 * order);
        for (int j = 0; j < order; j++) {
            gram[j * order + j] += 0.01 * order;
        }
        ones = new double[order];
        Arrays.fill(ones, 1);
    }

    private R064Store store(double[] rows) {
        R064Store store = R064Store.FACTORY.make(order, order);
        for (int i = 0; i < order; i++) {
            for (int j = 0; j < order; j++) {
                store.set(i, j, rows[i * order + j]);
            }
        }
        return store;
    }

    private double[] rows(MatrixStore<Double> store) {
        double[] rows = new double[order * order];
        for (int i = 0; i < order; i++) {
            for (int j = 0; j < order; j++) {
                rows[i * order + j] = store.doubleValue(i, j);
            }
        }
        return rows;
    }

    @Benchmark
    public double[] solve() {
        double[] factor = gram.clone();
        double[] solution = values.clone();
        algebra.cholesky(factor, order);
        algebra.forward(factor, order, solution, order);
        algebra.backward(factor, order, solution, order);
        return solution;
    }

    @Benchmark
    public double[] solveOjAlgo() {
        Cholesky<Double> cholesky = Cholesky.R064.make(order, order);
        cholesky.decompose(store(gram));
        return rows(cholesky.getSolution(store(values)));
    }

    @Benchmark
    public double[] multiply() {
        return algebra.multiply(values, order, order, gram);
    }

    @Benchmark
    public double[] multiplyOjAlgo() {
        return rows(store(values).multiply(store(gram)));
    }

    @Benchmark
    public double[] secondMoment() {
        double[] sum = new double[order * order];
        algebra.addOuterProducts(sum, order, values, ones, order);
        return sum;
    }

    @Benchmark
    public double[] secondMomentOjAlgo() {
        R064Store vectors = store(values);
        return rows(vectors.transpose().multiply(vectors));
    }
}
