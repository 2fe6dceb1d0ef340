package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * The methods against an independent NumPy implementation of the paper (double precision, parameters as the size unit), run
 * once on the matrix below; its ranks, sizes and errors stand here.
 */
class MethodsTest {
    private static final int ROWS = 400;
    private static final int COLUMNS = 24;

    private static Matrix matrix() {
        float[] values = new float[ROWS * COLUMNS];
        for (int i = 0; i < ROWS; i++) {
            for (int j = 0; j < COLUMNS; j++) {
                double smooth = Math.cos(0.37 * i + 1.1 * j) / (1 + 0.3 * j);
                double wave = 0.4 * Math.sin(0.011 * i * (j + 1));
                double noise = 0.2 * Math.cos(1.9 * i * i + 0.7 * j * j * i);
                values[i * COLUMNS + j] = (float) (smooth + wave + noise);
            }
        }
        return Matrix.of("formula", values, ROWS, COLUMNS);
    }

    private static long[] counts() {
        long[] counts = new long[ROWS];
        for (int i = 0; i < ROWS; i++) {
            counts[i] = 5000 / (1 + i * 37 % ROWS);
        }
        return counts;
    }

    /** {@code expectedRanks} has -1 for dense. */
    private static void check(
            Method method,
            int rounds,
            double ratio,
            List<Integer> expectedRanks,
            int[] expectedSizes,
            double expectedError) {
        CompressionOptions options = CompressionOptions.paper()
                .withMethod(method)
                .withTarget(SizeTarget.parameterRatio(ratio))
                .withRefineRounds(rounds);
        try (Arena arena = Arena.ofShared();
                ReferenceBackend backend = new ReferenceBackend()) {
            CompressionResult result =
                    GroupReduce.compress(backend, matrix(), counts(), null, options, arena, Progress.NONE);
            String what = method + " at " + ratio;
            List<Integer> ranks = result.matrix().groups().stream()
                    .map(g -> g.isDense() ? -1 : g.rank())
                    .toList();
            assertEquals(expectedRanks, ranks, what);
            assertArrayEquals(expectedSizes, result.matrix().groupSizes(), what);
            double error = GroupReduce.relativeError(backend, matrix(), counts(), 1, result.matrix());
            assertEquals(expectedError, error, 2e-5, what);
            assertTrue(result.matrix().parameters() <= ROWS * COLUMNS / ratio, what);
            for (GroupPlan plan : result.matrix().groups()) {
                assertTrue(plan.rank() <= COLUMNS, what);
            }
        }
    }

    @Test
    void svdMatches() {
        check(Method.SVD, 0, 2, List.of(11), new int[] {400}, 0.498495);
        check(Method.SVD, 0, 4, List.of(5), new int[] {400}, 0.639368);
        check(Method.SVD, 0, 8, List.of(2), new int[] {400}, 0.716360);
    }

    @Test
    void weightedSvdMatches() {
        check(Method.WEIGHTED_SVD, 0, 2, List.of(11), new int[] {400}, 0.407201);
        check(Method.WEIGHTED_SVD, 0, 4, List.of(5), new int[] {400}, 0.577198);
        check(Method.WEIGHTED_SVD, 0, 8, List.of(2), new int[] {400}, 0.691045);
    }

    @Test
    void groupReduceWithoutRefinementMatches() {
        int[] sizes = {2, 6, 22, 80, 290};
        check(Method.GROUPREDUCE, 0, 2, List.of(-1, -1, -1, -1, 6), sizes, 0.281950);
        check(Method.GROUPREDUCE, 0, 4, List.of(-1, -1, -1, 4, 4), sizes, 0.418404);
        check(Method.GROUPREDUCE, 0, 8, List.of(-1, -1, 3, 2, 2), sizes, 0.532184);
    }

    @Test
    void refinementMatches() {
        check(Method.GROUPREDUCE, 10, 2, List.of(11, 11, 9, 8, 5), new int[] {114, 87, 98, 40, 61}, 0.242493);
        // Here every move made it worse, so the state before the first move is what is kept.
        check(Method.GROUPREDUCE, 10, 4, List.of(-1, -1, -1, 4, 4), new int[] {2, 6, 22, 80, 290}, 0.418404);
    }

    @Test
    void aConfinedArenaIsRefused() {
        try (Arena arena = Arena.ofConfined();
                ReferenceBackend backend = new ReferenceBackend()) {
            CompressionOptions options = CompressionOptions.paper();
            assertThrows(
                    InvalidOptionException.class,
                    () -> GroupReduce.compress(backend, matrix(), counts(), null, options, arena, Progress.NONE));
        }
    }

    @Test
    void refinementNeverLosesATargetThatWasReached() {
        try (Arena arena = Arena.ofShared();
                ReferenceBackend backend = new ReferenceBackend()) {
            // Room for a direction of the smallest groups only, which the first moves make larger.
            for (long size = 26; size < 700; size += 17) {
                CompressionOptions options =
                        CompressionOptions.paper().withTarget(new SizeTarget(0, size, SizeUnit.PARAMETERS));
                CompressionResult result =
                        GroupReduce.compress(backend, matrix(), counts(), null, options, arena, Progress.NONE);
                assertTrue(result.matrix().parameters() <= size, "size " + size);
            }
        }
    }

    @Test
    void curvesAgreeWithRealCompressions() {
        long[] counts = counts();
        double[] ratios = {2, 4, 6};
        try (Arena arena = Arena.ofShared();
                ReferenceBackend backend = new ReferenceBackend()) {
            for (Method method : List.of(Method.SVD, Method.WEIGHTED_SVD, Method.GROUPREDUCE)) {
                for (double alpha : new double[] {1, 0.5, 1.5}) {
                    CompressionOptions options = CompressionOptions.paper()
                            .withMethod(method)
                            .withCodec(Codec.F32)
                            .withAlpha(alpha)
                            .withRefineRounds(0);
                    String what = method + " with alpha " + alpha;
                    ErrorCurve curve = GroupReduce.errorCurve(backend, matrix(), counts, options, ratios);
                    assertEquals(ratios.length, curve.ratios().length, what);
                    for (int r = 0; r < ratios.length; r++) {
                        CompressionResult real =
                                compressed(backend, matrix(), options.withTarget(SizeTarget.ratio(ratios[r])), arena);
                        double error = GroupReduce.relativeError(backend, matrix(), counts, 1, real.matrix());
                        assertEquals(error, curve.relativeErrors()[r], 1e-5, what + " at " + ratios[r]);
                    }
                }
            }
        }
    }

    /** What the codec left open is: INT8 in bytes, filled with the directions that bytes allow; the source's own in parameters. */
    @Test
    void bytesAreFilledWithInt8AndParametersWithTheSourcesNumbers() {
        Matrix wide = matrix();
        short[] upper = new short[ROWS * COLUMNS];
        float[] row = new float[COLUMNS];
        for (int i = 0; i < ROWS; i++) {
            wide.readRow(i, row, 0);
            for (int j = 0; j < COLUMNS; j++) {
                upper[i * COLUMNS + j] = Bf16.round(row[j]);
            }
        }
        Matrix narrow = Matrix.of("half", DType.BF16, ROWS, COLUMNS, MemorySegment.ofArray(upper));
        try (Arena arena = Arena.ofShared();
                ReferenceBackend backend = new ReferenceBackend()) {
            for (Method method : List.of(Method.SVD, Method.WEIGHTED_SVD, Method.GROUPREDUCE)) {
                CompressionOptions open = CompressionOptions.paper().withMethod(method);
                for (Matrix source : List.of(wide, narrow)) {
                    SizeTarget bytes = SizeTarget.bytes(6_000);
                    CompressionResult left = compressed(backend, source, open.withTarget(bytes), arena);
                    CompressionResult named =
                            compressed(backend, source, open.withTarget(bytes).withCodec(Codec.INT8), arena);
                    requireCodec(Codec.INT8, left);
                    assertEquals(ranks(named), ranks(left), method.label());
                    assertEquals(named.summary().loss(), left.summary().loss(), method.label());
                    assertTrue(left.matrix().bytes() <= 6_000, method.label());
                    CompressionResult full =
                            compressed(backend, source, open.withTarget(bytes).withCodec(Codec.F32), arena);
                    requireCodec(Codec.F32, full);
                    assertTrue(left.matrix().parameters() > 2 * full.matrix().parameters(), method.label());
                    assertTrue(left.summary().loss() < full.summary().loss(), method.label());
                    requireCodec(
                            source == wide ? Codec.F32 : Codec.BF16,
                            compressed(backend, source, open.withTarget(SizeTarget.parameterRatio(4)), arena));
                }
            }
        }
    }

    private static CompressionResult compressed(
            ReferenceBackend backend, Matrix source, CompressionOptions options, Arena arena) {
        return GroupReduce.compress(backend, source, counts(), null, options, arena, Progress.NONE);
    }

    private static List<Integer> ranks(CompressionResult result) {
        return result.matrix().groups().stream().map(GroupPlan::rank).toList();
    }

    /** Left factors, right factors and the summary. */
    private static void requireCodec(Codec codec, CompressionResult result) {
        String what = result.summary().options().method().label();
        assertEquals(codec, result.summary().options().codec().orElseThrow(), what);
        assertEquals(codec, result.summary().options().rightCodec().orElseThrow(), what);
        CompressedMatrix matrix = result.matrix();
        assertTrue(
                matrix.groups().stream().allMatch(g -> g.isZero() || g.profile().uniform() == codec.bits()), what);
        for (int b = 0; b < matrix.bases(); b++) {
            assertEquals(codec.bits(), matrix.right(b).profile().uniform(), what);
        }
    }

    @Test
    void theStateKeptIsTheBestSeen() {
        CompressionOptions options = CompressionOptions.paper()
                .withTarget(SizeTarget.parameterRatio(4))
                .withRefineRounds(4);
        try (Arena arena = Arena.ofShared();
                ReferenceBackend backend = new ReferenceBackend()) {
            CompressionResult result =
                    GroupReduce.compress(backend, matrix(), counts(), null, options, arena, Progress.NONE);
            assertEquals(5, result.summary().refinement().size());
            double least = result.summary().refinement().stream()
                    .mapToDouble(d -> d)
                    .min()
                    .orElseThrow();
            assertEquals(least, result.summary().loss(), 1e-4 * least);
        }
    }
}
