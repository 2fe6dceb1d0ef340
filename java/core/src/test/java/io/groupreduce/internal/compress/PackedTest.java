package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.packed.PackedMatrix;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Packed matrices as a whole, on the reference backend. */
class PackedTest {
    private final ReferenceBackend backend = new ReferenceBackend();
    private final Arena arena = Arena.ofShared();

    @AfterEach
    void close() {
        arena.close();
        backend.close();
    }

    private static CompressionOptions packed(double ratio) {
        return CompressionOptions.defaults().withTarget(SizeTarget.ratio(ratio)).withPacked(true);
    }

    private CompressionResult compress(Matrix matrix, long[] counts, Metric metric, CompressionOptions options) {
        return GroupReduce.compress(backend, matrix, counts, metric, options, arena, Progress.NONE);
    }

    private static float[] decoded(CompressedMatrix matrix) {
        float[] values = new float[matrix.rows() * matrix.columns()];
        matrix.decodeRows(0, matrix.rows(), values, 0);
        return values;
    }

    /** What a file would give. */
    private CompressedMatrix unpacked(CompressedMatrix matrix) {
        int rank = matrix.bases() == 0 ? 0 : (int) matrix.right(0).rows();
        PackedMatrix parts =
                PackedMatrix.unpack(matrix.packed(), matrix.rows(), matrix.columns(), matrix.groups(), rank, arena);
        return new CompressedMatrix(
                "unpacked", matrix.columns(), parts.groupOf(), matrix.groups(), parts.left(), parts.right());
    }

    @Test
    void theSizeIsFilledAndLessIsLostThanUnpacked() {
        Matrix matrix = SoftmaxFixture.powerLaw(1, 4000, 24);
        long[] counts = SoftmaxFixture.counts(1, 4000);
        Metric metric = MetricRoot.hiddenMoment(
                new DenseAlgebra(backend::forEach),
                SoftmaxFixture.softmax(3, matrix).hidden());
        for (double ratio : new double[] {6.6, 20}) {
            CompressionOptions options = packed(ratio).withAlpha(0.5);
            CompressionResult small = compress(matrix, counts, metric, options);
            CompressionResult plain = compress(matrix, counts, metric, options.withPacked(false));
            long budget = SizeTarget.ratio(ratio).budget(matrix);
            long bytes = small.matrix().bytes();
            assertTrue(bytes <= budget && bytes >= 0.985 * budget, bytes + " of " + budget);
            assertTrue(small.matrix().residentBytes() > bytes);
            assertTrue(
                    small.summary().loss() < 0.9 * plain.summary().loss(),
                    small.summary().loss() + " against " + plain.summary().loss());
        }
    }

    @Test
    void whatIsUnpackedIsWhatWasMeasured() {
        Matrix matrix = SoftmaxFixture.powerLaw(2, 2000, 40);
        CompressionResult result = compress(matrix, SoftmaxFixture.counts(2, 2000), null, packed(10));
        CompressedMatrix small = result.matrix();
        assertArrayEquals(decoded(small), decoded(unpacked(small)));
        try (var workspace = new CompressionTask(
                        backend,
                        matrix,
                        SoftmaxFixture.counts(2, 2000),
                        null,
                        null,
                        result.summary().options())
                .open(Weights.raw(SoftmaxFixture.counts(2, 2000), 0.5))) {
            assertEquals(
                    result.summary().loss(),
                    workspace.loss(small).weighted(),
                    1e-9 * result.summary().loss());
        }
    }

    @Test
    void theSameMatrixGivesTheSameBytes() {
        Matrix matrix = SoftmaxFixture.powerLaw(3, 1500, 16);
        long[] counts = SoftmaxFixture.counts(3, 1500);
        CompressedMatrix once = compress(matrix, counts, null, packed(9)).matrix();
        CompressedMatrix again = compress(matrix, counts, null, packed(9)).matrix();
        assertEquals(-1, once.packed().rows().mismatch(again.packed().rows()));
        assertEquals(-1, once.packed().right().mismatch(again.packed().right()));
    }

    /** Rows of zeros, one row, one column, few rows of many columns, rows of all magnitudes, counts of all magnitudes. */
    @Test
    void oddMatricesArePackedOrBetter() {
        Random random = new Random(4);
        int packed = 0;
        int turn = 0;
        for (int[] shape : new int[][] {{300, 1}, {1, 300}, {40, 200}, {1500, 12}}) {
            for (String kind : List.of("zeros", "normal", "magnitudes", "sparse")) {
                float[] values = new float[shape[0] * shape[1]];
                for (int at = 0; at < values.length; at++) {
                    double normal = random.nextGaussian();
                    values[at] = (float)
                            switch (kind) {
                                case "zeros" -> 0;
                                case "normal" -> normal;
                                case "magnitudes" -> normal * Math.pow(10, at / shape[1] % 13 - 6);
                                default -> at / shape[1] % 7 == 0 ? normal : 0;
                            };
                }
                long[] counts = random.longs(shape[0], 0, 10_000_000_000_000L)
                        .map(c -> c >> c % 44)
                        .toArray();
                Matrix matrix = Matrix.of(kind, values, shape[0], shape[1]);
                // Sizes and exponents in turn: another pair for every kind of the next shape.
                long size = 2800 + values.length / (turn % 2 == 0 ? 2 : 5);
                double alpha = turn / 2 % 2 == 0 ? 0 : 4;
                turn++;
                CompressionOptions options = CompressionOptions.defaults()
                        .withTarget(SizeTarget.bytes(size))
                        .withAlpha(alpha);
                CompressionResult result = compress(matrix, counts, null, options.withPacked(true));
                CompressionResult plain = compress(matrix, counts, null, options);
                CompressedMatrix small = result.matrix();
                String where = kind + Arrays.toString(shape) + alpha + " " + size;
                assertTrue(small.bytes() <= size, where);
                assertTrue(result.summary().loss() <= plain.summary().loss() * (1 + 1e-12), where);
                if (small.packed() != null) {
                    packed++;
                    assertArrayEquals(decoded(small), decoded(unpacked(small)), where);
                }
            }
            turn++;
        }
        assertTrue(packed > 0);
    }

    /** Not compared with ordinary rows, as large matrices are not. */
    @Test
    void fewWideRowsDoNotLoseMoreThanTheyHave() {
        Matrix matrix = SoftmaxFixture.powerLaw(7, 110, 370);
        CompressionTask task = new CompressionTask(
                backend, matrix, new long[110], null, null, packed(16).withRefineRounds(0));
        CompressionResult result = new RateDistortion(task).alone(arena, Progress.NONE);
        assertTrue(result.matrix().packed() != null);
        assertTrue(result.summary().loss() < 0.2 * result.summary().energy());
    }

    @Test
    void aCopyOutlivesWhatItWasCopiedFrom() {
        Matrix matrix = SoftmaxFixture.powerLaw(8, 2100, 12);
        CompressedMatrix copy;
        try (Arena first = Arena.ofShared()) {
            CompressedMatrix small = compress(matrix, null, null, packed(8)).matrix();
            CompressedMatrix inFirst = small.copyTo(first);
            copy = inFirst.copyTo(arena);
        }
        assertArrayEquals(decoded(copy), decoded(unpacked(copy)));
    }

    @Test
    void aLossCanBeAimedAt() {
        Matrix matrix = SoftmaxFixture.powerLaw(5, 800, 16);
        SoftmaxData softmax = SoftmaxFixture.softmax(5, matrix);
        CompressionOptions options = CompressionOptions.defaults()
                .withMaxLossIncrease(0.02)
                .withAlpha(0.5)
                .withPacked(true);
        CompressionResult result = GroupReduce.compress(
                backend, matrix, SoftmaxFixture.counts(5, 800), null, softmax, options, arena, Progress.NONE);
        SoftmaxData judged = softmax.judged(10_000);
        Evaluation evaluation = SoftmaxEvaluation.of(
                backend, matrix, judged.bias(), result.matrix(), judged.hidden(), judged.targets());
        double dense = Math.log(evaluation.densePerplexity());
        assertTrue(Math.log(evaluation.compressedPerplexity()) <= 1.02 * dense + 1e-9);
        assertTrue(result.matrix().packed() != null && result.summary().ratio() > 2);
    }

    @Test
    void sizesWithoutRoomAndOptionsThatContradictAreRefused() {
        Matrix matrix = SoftmaxFixture.powerLaw(6, 500, 16);
        CompressionOptions tiny =
                CompressionOptions.defaults().withTarget(SizeTarget.bytes(900)).withPacked(true);
        UnreachableTargetException none =
                assertThrows(UnreachableTargetException.class, () -> compress(matrix, null, null, tiny));
        assertTrue(none.smallest() > 900, none.getMessage());
        CompressionOptions options = packed(8);
        for (Runnable wrong : List.<Runnable>of(
                () -> options.withMethod(Method.GROUPREDUCE),
                () -> options.withCodec(Codec.INT8),
                () -> options.withGroups(2),
                () -> options.withTimePrice(0.5),
                () -> options.withCalibrationEpochs(1),
                () -> options.withTarget(new SizeTarget(8, 0, SizeUnit.PARAMETERS)))) {
            InvalidOptionException refused = assertThrows(InvalidOptionException.class, wrong::run);
            assertTrue(refused.getMessage().startsWith("Packed rows"), refused.getMessage());
        }
    }
}
