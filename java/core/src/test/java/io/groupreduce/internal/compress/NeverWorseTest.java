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
    /** What rounding to bfloat16 loses of the energy: below it no one looks. */
    private static final double NOTHING = 1.3e-6;

    /** Of smaller files the header is more than half, and whether there is room for one more group decides. */
    private static final long LEAST_BYTES = 1500;

    /** A matrix is compressed to one of them. */
    private static final double[] RATIOS = {3, 6, 10, 24};

    /** N, D. */
    private static final int[][] SHAPES = {{24, 200}, {40, 80}, {250, 16}, {60, 30}};

    record Data(String name, Matrix matrix, long[] counts, Metric metric, long bytes) {
        Data {
            assertTrue(bytes >= LEAST_BYTES, name);
        }

        @Override
        public String toString() {
            return name + ", " + matrix.rows() + " x " + matrix.columns() + (metric == null ? "" : ", metric")
                    + (counts[0] == counts[1] ? "" : ", Zipf") + ", " + bytes + " bytes";
        }
    }

    /** A matrix of {@link #SHAPES}, counts and ratios in turn, and what is unlike them. */
    static Stream<Data> data() {
        return Stream.concat(regular(), odd());
    }

    private static Stream<Data> odd() {
        float[] equal = new float[200 * 80];
        float[] one = SeededData.powerLaw(6, 1, 80, 0);
        for (int i = 0; i < 200; i++) {
            System.arraycopy(one, 0, equal, i * 80, 80);
        }
        float[] huge = SeededData.powerLaw(7, 400, 32, 0);
        for (int j = 0; j < 32; j++) {
            huge[5 * 32 + j] *= 1e4f;
            huge[300 * 32 + j] *= 1e4f;
        }
        float[] deficient = lowRank(50, 300, 20, 0);
        return Stream.of(
                new Data("equal rows", Matrix.of("equal", equal, 200, 80), new long[200], null, 4000),
                new Data("two huge rows", Matrix.of("huge", huge, 400, 32), new long[400], null, 3600),
                new Data("20 directions", Matrix.of("few", deficient, 50, 300), new long[50], null, 4600));
    }

    private static Stream<Data> regular() {
        int[] turn = {0};
        return Stream.of(SHAPES)
                .flatMap(s -> Stream.of(SeededData.zipfCounts(5, s[0], 50.0 * s[0]), new long[s[0]])
                        .flatMap(counts -> Stream.of(
                                data("6 directions and noise", lowRank(s[0], s[1], 6, 0.5), s, counts, null),
                                data("flat", SeededData.powerLaw(2, s[0], s[1], 0), s, counts, null),
                                data("power law", SeededData.powerLaw(3, s[0], s[1], 0.6), s, counts, null),
                                data("power law", SeededData.powerLaw(4, s[0], s[1], 0.3), s, counts, metric(s[1])))))
                .map(d -> turned(d, turn[0]++));
    }

    private static Data data(String name, float[] values, int[] shape, long[] counts, Metric metric) {
        return new Data(name, Matrix.of(name, values, shape[0], shape[1]), counts, metric, Long.MAX_VALUE);
    }

    /** At the ratio whose turn it is, or the next smaller one whose file is large enough. */
    private static Data turned(Data data, int turn) {
        int r = turn % RATIOS.length;
        while (SizeTarget.ratio(RATIOS[r]).budget(data.matrix) < LEAST_BYTES) {
            r--;
        }
        return new Data(
                data.name,
                data.matrix,
                data.counts,
                data.metric,
                SizeTarget.ratio(RATIOS[r]).budget(data.matrix));
    }

    private static float[] lowRank(int rows, int columns, int rank, double noise) {
        Random random = new Random(1);
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
                double sum = noise * random.nextGaussian();
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
            CompressionOptions asked = defaults.withTarget(SizeTarget.bytes(data.bytes));
            double loss = loss(backend, judge, data, asked);
            double least = Stream.concat(
                            Arrays.stream(Codec.values()).map(asked::withCodec),
                            Stream.of(Method.SVD, Method.WEIGHTED_SVD, Method.GROUPREDUCE)
                                    .flatMap(m -> Stream.of(Codec.INT8, Codec.INT4)
                                            .map(c -> asked.withMethod(m).withCodec(c))))
                    .mapToDouble(other -> loss(backend, judge, data, other))
                    .min()
                    .orElseThrow();
            assertTrue(loss < 1, "no room");
            assertTrue(loss <= 1.001 * least + NOTHING, loss + ", elsewhere " + least);
        }
    }

    /** The part of the energy that is lost, infinite where the size cannot be reached. */
    private static double loss(
            ReferenceBackend backend, CompressionWorkspace judge, Data data, CompressionOptions options) {
        try (Arena arena = Arena.ofShared()) {
            return judge.loss(GroupReduce.compress(
                                            backend,
                                            data.matrix,
                                            data.counts,
                                            data.metric,
                                            options,
                                            arena,
                                            Progress.NONE)
                                    .matrix())
                            .weighted()
                    / judge.energy();
        } catch (UnreachableTargetException e) {
            return Double.POSITIVE_INFINITY;
        }
    }
}
