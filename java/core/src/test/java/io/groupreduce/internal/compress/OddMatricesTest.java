package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Rate-distortion on matrices at the edge: it meets the size, or says in one sentence which size it could meet. */
class OddMatricesTest {
    private final ReferenceBackend backend = new ReferenceBackend();
    private final Arena arena = Arena.ofShared();

    @AfterEach
    void close() {
        arena.close();
        backend.close();
    }

    private CompressionResult compress(Matrix matrix, CompressionOptions options) {
        return GroupReduce.compress(backend, matrix, null, null, options, arena, Progress.NONE);
    }

    /** The result, which meets the target, or {@code null} where the target is refused as it should be. */
    private CompressionResult tried(Matrix matrix, CompressionOptions options) {
        String what = matrix.rows() + " x " + matrix.columns() + ", " + options.target() + ", " + options.codec();
        CompressionResult result;
        try {
            result = compress(matrix, options);
        } catch (UnreachableTargetException e) {
            assertTrue(e.getMessage().contains("ask for at least " + e.smallest() + " "), what + ": " + e.getMessage());
            assertTrue(e.smallest() > options.target().budget(matrix), what + ": " + e.getMessage());
            return null;
        }
        boolean bytes = options.target().unit() == SizeUnit.BYTES;
        long size = bytes ? result.matrix().bytes() : result.matrix().parameters();
        assertTrue(size <= options.target().budget(matrix), what + ": " + size);
        assertTrue(
                Double.isFinite(result.summary().loss()) && result.summary().loss() >= 0,
                what + ": loss " + result.summary().loss());
        float[] decoded = new float[matrix.columns()];
        for (int i = 0; i < matrix.rows(); i++) {
            result.matrix().decodeRows(i, 1, decoded, 0);
            for (float value : decoded) {
                assertTrue(Float.isFinite(value), what);
            }
        }
        return result;
    }

    private static CompressionOptions to(double ratio) {
        return CompressionOptions.defaults().withTarget(SizeTarget.ratio(ratio));
    }

    @Test
    void aMatrixOfZeros() {
        CompressionResult result = tried(Matrix.of("zeros", new float[300 * 8], 300, 8), to(4));
        assertNotNull(result);
        assertEquals(0, result.summary().loss());
        assertEquals(0, result.summary().relativeError());
    }

    /** A group of two rows costs more than its rows, but there is nothing else to store. */
    @Test
    void aFewRowsAmongZerosAreStored() {
        float[] values = new float[1000 * 16];
        for (int j = 0; j < 16; j++) {
            values[300 * 16 + j] = (float) Math.sin(1 + j);
            values[700 * 16 + j] = (float) Math.cos(j * j);
        }
        CompressionResult result = tried(Matrix.of("few", values, 1000, 16), to(6.6));
        assertNotNull(result);
        assertTrue(
                result.summary().relativeError() < 0.2,
                "error " + result.summary().relativeError());
    }

    /** Four rows of 2,048 have most of the energy: with no group of their own they would lose 7,009. */
    @Test
    void aFewRowsThatWeighMostKeepGroupsOfTheirOwn() {
        Random random = new Random(1);
        float[] values = new float[2048 * 24];
        for (int i = 0; i < 2048; i++) {
            for (int j = 0; j < 24; j++) {
                double size = i % 512 == 0 ? 3000 : 1;
                values[i * 24 + j] = (float) (random.nextGaussian() / Math.sqrt(1 + j) * size);
            }
        }
        CompressionResult result = tried(Matrix.of("outliers", values, 2048, 24), to(6.6));
        assertNotNull(result);
        assertTrue(result.summary().loss() < 2000, "loss " + result.summary().loss());
    }

    @Test
    void rowsThatAreAllEqual() {
        float[] values = new float[500 * 16];
        Arrays.setAll(new double[values.length], j -> values[j] = (float) Math.sin(1 + j % 16));
        CompressionResult result = tried(Matrix.of("equal", values, 500, 16), to(10));
        assertNotNull(result);
        assertTrue(
                result.summary().relativeError() < 0.06,
                "one direction holds it all: " + result.summary().relativeError());
    }

    @Test
    void fewRowsOrColumns() {
        int[][] shapes = {{10, 30}, {1, 1}, {1, 300}, {1, 3}, {2500, 1}, {2500, 2}, {3, 3}, {400, 3}, {257, 5}, {9, 120}
        };
        double[] ratios = {1, 3, 1.01, 6.6, 1.5, 30};
        int met = 0;
        for (int s = 0; s < shapes.length; s++) {
            Matrix matrix = SoftmaxFixture.powerLaw(1, shapes[s][0], shapes[s][1]);
            for (int turn = 0; turn < 3; turn++) {
                met += tried(matrix, to(ratios[(2 * turn + s) % ratios.length])) == null ? 0 : 1;
            }
        }
        assertTrue(met > 7, "met " + met);
    }

    @Test
    void withRoomForEverythingRowsAreStoredDense() {
        Matrix matrix = SoftmaxFixture.powerLaw(2, 300, 24);
        CompressionResult nearly = tried(matrix, to(1.1));
        assertNotNull(nearly);
        assertTrue(
                nearly.summary().relativeError() < 1e-3,
                "error " + nearly.summary().relativeError());
        // With group numbers and a header, all rows of binary32 fit a little above the source's size.
        CompressionResult whole =
                compress(matrix, CompressionOptions.defaults().withTarget(SizeTarget.bytes(matrix.bytes() + 8000)));
        assertEquals(0, whole.summary().loss());
        assertTrue(whole.summary().options().rightCodec().isEmpty(), "there are no right factors");
        assertTrue(whole.matrix().groups().stream()
                .allMatch(p -> p.isDense() && p.profile().uniform() == Float.SIZE));
        for (double ratio : new double[] {1, 1.01}) {
            CompressionResult result = tried(matrix, to(ratio));
            assertNotNull(result);
            assertTrue(
                    result.summary().relativeError() < 3e-3,
                    "error " + result.summary().relativeError());
        }
    }

    @Test
    void sixteenBitSources() {
        Matrix wide = SoftmaxFixture.powerLaw(3, 250, 20);
        float[] row = new float[20];
        byte[] half = new byte[250 * 20 * 2];
        byte[] brain = new byte[250 * 20 * 2];
        for (int i = 0; i < 250; i++) {
            wide.readRow(i, row, 0);
            for (int j = 0; j < 20; j++) {
                put(half, i * 20 + j, Float.floatToFloat16(row[j]));
                put(brain, i * 20 + j, (short) (Float.floatToRawIntBits(row[j]) >>> 16));
            }
        }
        for (double ratio : new double[] {1.1, 4}) {
            for (Matrix matrix : new Matrix[] {
                Matrix.of("half", DType.F16, 250, 20, MemorySegment.ofArray(half)),
                Matrix.of("brain", DType.BF16, 250, 20, MemorySegment.ofArray(brain))
            }) {
                CompressionResult result = tried(matrix, to(ratio));
                assertNotNull(result);
                assertFalse(result.matrix().groups().stream()
                        .anyMatch(p -> p.profile().uniform() == Float.SIZE));
            }
        }
    }

    private static void put(byte[] bytes, int index, short value) {
        bytes[2 * index] = (byte) value;
        bytes[2 * index + 1] = (byte) (value >>> 8);
    }

    @Test
    void parametersAsTheUnit() {
        Matrix matrix = SoftmaxFixture.powerLaw(4, 400, 24);
        for (double ratio : new double[] {1, 2, 6.6, 15}) {
            CompressionResult result =
                    tried(matrix, CompressionOptions.defaults().withTarget(SizeTarget.parameterRatio(ratio)));
            assertNotNull(result);
            assertTrue(result.matrix().parameters() > 0.97 * 400 * 24 / ratio, "ratio " + ratio);
            assertTrue(result.matrix().groups().stream()
                    .allMatch(p -> p.isZero() || p.profile().uniform() == Float.SIZE));
        }
    }

    @Test
    void everyCodecOnItsOwn() {
        Matrix matrix = SoftmaxFixture.powerLaw(5, 300, 20);
        for (Codec codec : Codec.values()) {
            for (double ratio : new double[] {3, 12}) {
                CompressionResult result = tried(matrix, to(ratio).withCodec(codec));
                assertNotNull(result, codec + " at " + ratio);
                assertTrue(
                        result.matrix().groups().stream()
                                .allMatch(p -> p.isZero() || p.profile().uniform() == codec.bits()),
                        codec + " at " + ratio);
            }
        }
    }

    @Test
    void theSmallestSizeThatIsNamedIsReachable() {
        for (int[] shape : new int[][] {{400, 24}, {30, 7}, {1, 40}, {500, 1}, {3000, 10}}) {
            for (SizeUnit unit : SizeUnit.values()) {
                Matrix matrix = SoftmaxFixture.powerLaw(6, shape[0], shape[1]);
                CompressionOptions options = CompressionOptions.defaults().withTarget(new SizeTarget(0, 1, unit));
                long smallest = 0;
                try {
                    compress(matrix, options);
                } catch (UnreachableTargetException e) {
                    smallest = e.smallest();
                }
                String what = shape[0] + " x " + shape[1] + " in " + unit;
                assertTrue(smallest > 1, what);
                CompressionResult result = tried(matrix, options.withTarget(new SizeTarget(0, smallest, unit)));
                assertNotNull(result, what);
                assertTrue(result.matrix().groups().stream().anyMatch(plan -> !plan.isZero()), what + " is all zeros");
            }
        }
    }

    @Test
    void theMagnitudeOfTheMatrixDoesNotMatter() {
        float[] values = new float[300 * 20];
        SoftmaxFixture.powerLaw(8, 300, 20).readRows(0, 300, values, 0);
        double expected =
                tried(Matrix.of("as it is", values, 300, 20), to(8)).summary().relativeError();
        for (float factor : new float[] {1e-8f, 1e-5f, 1e5f, 1e8f}) {
            float[] scaled = new float[values.length];
            for (int j = 0; j < values.length; j++) {
                scaled[j] = values[j] * factor;
            }
            CompressionResult result = tried(Matrix.of("times " + factor, scaled, 300, 20), to(8));
            assertEquals(expected, result.summary().relativeError(), 0.03 * expected, "times " + factor);
        }
    }

    @Test
    void theUnitOfTheMetricDoesNotMatter() {
        Matrix matrix = SoftmaxFixture.powerLaw(9, 300, 20);
        double[] errors = new double[3];
        double[] factors = {1, 1e-8, 1e8};
        for (int f = 0; f < factors.length; f++) {
            double[] moment = new double[20 * 20];
            for (int j = 0; j < 20; j++) {
                moment[j * 20 + j] = factors[f] / (1 + j);
            }
            Metric metric = new Metric("moment", 20, moment);
            errors[f] = GroupReduce.compress(backend, matrix, null, metric, to(8), arena, Progress.NONE)
                    .summary()
                    .relativeError();
            assertEquals(errors[0], errors[f], 0.03 * errors[0], "times " + factors[f]);
        }
    }

    @Test
    void numbersWhoseSquaresOverflowAreRefusedBehindASmallMetric() {
        float[] values = new float[30 * 8];
        Arrays.fill(values, 1e19f);
        double[] moment = new double[8 * 8];
        for (int j = 0; j < 8; j++) {
            moment[j * 8 + j] = 1e-20;
        }
        Matrix matrix = Matrix.of("large", values, 30, 8);
        for (Method method : new Method[] {Method.RATE_DISTORTION, Method.GROUPREDUCE}) {
            CompressionOptions options =
                    CompressionOptions.defaults().withMethod(method).withTarget(SizeTarget.bytes(2500));
            InvalidDataException refused = assertThrows(
                    InvalidDataException.class,
                    () -> GroupReduce.compress(
                            backend, matrix, null, new Metric("moment", 8, moment), options, arena, Progress.NONE));
            assertTrue(refused.getMessage().startsWith("large holds numbers so large"), refused.getMessage());
        }
    }

    @Test
    void calibrationWithABiasStaysWithinTheSizeWhateverTheMethod() {
        Matrix matrix = SoftmaxFixture.powerLaw(10, 300, 96);
        SoftmaxData softmax = SoftmaxFixture.softmax(10, matrix);
        int biased = 0;
        for (Method method : Method.values()) {
            CompressionOptions options = CompressionOptions.defaults()
                    .withMethod(method)
                    .withCalibrationEpochs(1)
                    .withCodec(Codec.INT8);
            CompressionResult result = GroupReduce.compress(
                    backend,
                    matrix,
                    null,
                    null,
                    softmax,
                    options.withTarget(SizeTarget.ratio(3)),
                    arena,
                    Progress.NONE);
            biased += result.matrix().bias() == null ? 0 : 1;
            assertTrue(
                    result.matrix().bytes() <= matrix.bytes() / 3,
                    method + ": " + result.matrix().bytes());
        }
        assertTrue(biased > 0, "a bias is trained somewhere");
    }

    @Test
    void aFewHugeRowsAndMissingOnes() {
        float[] values = new float[300 * 12];
        SoftmaxFixture.powerLaw(7, 300, 12).readRows(0, 300, values, 0);
        for (int j = 0; j < 12; j++) {
            values[5 * 12 + j] *= 1e6f;
            values[77 * 12 + j] = 0;
            values[78 * 12 + j] *= 1e-6f;
        }
        CompressionResult result = tried(Matrix.of("uneven", values, 300, 12), to(4));
        assertNotNull(result);
        assertTrue(
                result.summary().relativeError() < 0.01,
                "error " + result.summary().relativeError());
        assertTrue(result.matrix().groups().stream().anyMatch(GroupPlan::isZero));
        // The huge row has nearly all the energy, so the error above says nothing of the others.
        float[] decoded = new float[12];
        result.matrix().decodeRows(5, 1, decoded, 0);
        for (int j = 0; j < 12; j++) {
            assertEquals(values[5 * 12 + j], decoded[j], 1e4, "column " + j + " of the huge row");
        }
    }
}
