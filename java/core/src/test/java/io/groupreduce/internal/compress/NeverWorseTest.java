package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.SeededData;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionWorkspace;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever the shape of a matrix, no one who names a codec or another method gets less loss from as many bytes than by default. */
class NeverWorseTest {
    /** Rounding of dense rows to 8 bits loses as much of the energy: below it no one looks. */
    private static final double NOTHING = 5e-5;

    /** Of smaller files the header is more than half, and whether there is room for one more group decides. */
    private static final long LEAST_BYTES = 1500;

    private static final double[] RATIOS = {3, 10, 24};

    /** N, D. */
    private static final int[][] SHAPES = {{24, 200}, {40, 80}, {250, 16}, {60, 30}};

    record Data(String name, Matrix matrix, long[] counts, Metric metric) {
        @Override
        public String toString() {
            return name + ", " + matrix.rows() + " x " + matrix.columns() + (metric == null ? "" : ", metric")
                    + (counts[0] == counts[1] ? "" : ", Zipf");
        }
    }

    static Stream<Data> data() {
        return Stream.of(SHAPES).flatMap(s -> Stream.of(SeededData.zipfCounts(5, s[0], 50.0 * s[0]), new long[s[0]])
                .flatMap(counts -> Stream.of(
                        data("6 directions and noise", lowRank(s[0], s[1]), s, counts, null),
                        data("flat", SeededData.powerLaw(2, s[0], s[1], 0), s, counts, null),
                        data("power law", SeededData.powerLaw(3, s[0], s[1], 0.6), s, counts, null),
                        data("power law", SeededData.powerLaw(4, s[0], s[1], 0.3), s, counts, metric(s[1])))));
    }

    private static Data data(String name, float[] values, int[] shape, long[] counts, Metric metric) {
        return new Data(name, Matrix.of(name, values, shape[0], shape[1]), counts, metric);
    }

    private static float[] lowRank(int rows, int columns) {
        Random random = new Random(1);
        int rank = 6;
        float[] left = new float[rows * rank];
        float[] right = new float[rank * columns];
        for (float[] factor : new float[][] {left, right}) {
            for (int j = 0; j < factor.length; j++) {
                factor[j] = (float) random.nextGaussian();
            }
        }
        float[] values = new float[rows * columns];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                double sum = 0.5 * random.nextGaussian();
                for (int k = 0; k < rank; k++) {
                    sum += left[i * rank + k] * right[k * columns + j];
                }
                values[i * columns + j] = (float) sum;
            }
        }
        return values;
    }

    private static Metric metric(int columns) {
        int states = 2 * columns;
        float[] hidden = SeededData.powerLaw(9, states, columns, 0.4);
        return MetricRoot.hiddenMoment(
                new DenseAlgebra(new ReferenceBackend()::forEach), Matrix.of("states", hidden, states, columns));
    }

    @ParameterizedTest
    @MethodSource("data")
    void theDefaultLosesNoMoreThanAnythingThatCanBeNamed(Data data) {
        CompressionOptions defaults = CompressionOptions.defaults();
        try (ReferenceBackend backend = new ReferenceBackend();
                CompressionWorkspace judge = CompressionTask.of(
                                backend, data.matrix, data.counts, data.metric, null, defaults)
                        .open(Weights.raw(data.counts, 0.5))) {
            int reached = 0;
            for (double ratio : RATIOS) {
                if (SizeTarget.ratio(ratio).budget(data.matrix) < LEAST_BYTES) {
                    continue;
                }
                CompressionOptions asked = defaults.withTarget(SizeTarget.ratio(ratio));
                double loss = loss(backend, judge, data, asked);
                double least = Stream.concat(
                                Arrays.stream(Codec.values()).map(asked::withCodec),
                                Stream.of(Method.SVD, Method.WEIGHTED_SVD, Method.GROUPREDUCE)
                                        .flatMap(m -> Stream.of(Codec.INT8, Codec.INT4)
                                                .map(c -> asked.withMethod(m).withCodec(c))))
                        .mapToDouble(other -> loss(backend, judge, data, other))
                        .min()
                        .orElseThrow();
                reached += loss < 1 ? 1 : 0;
                assertTrue(
                        loss <= 1.01 * least + NOTHING,
                        data + ", " + ratio + " times smaller: " + loss + ", elsewhere " + least);
            }
            assertTrue(reached > 0, data + ": no size was reached");
        }
    }

    /** The part of the energy that is lost, infinite where the size cannot be reached. */
    private static double loss(
            ReferenceBackend backend, CompressionWorkspace judge, Data data, CompressionOptions options) {
        try (Arena arena = Arena.ofShared()) {
            return judge.loss(GroupReduce.compress(
                                    backend, data.matrix, data.counts, data.metric, options, arena, Progress.NONE)
                            .matrix())
                    / judge.energy();
        } catch (UnreachableTargetException e) {
            return Double.POSITIVE_INFINITY;
        }
    }
}
