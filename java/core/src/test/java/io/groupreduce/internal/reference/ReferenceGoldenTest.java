package io.groupreduce.internal.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.groupreduce.Answers;
import io.groupreduce.EmbeddingTable;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Sampling;
import io.groupreduce.internal.linear.SymmetricEigen;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.NormalEquations;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The oracle of the oracle: the reference backend, and what it shares with the others, the codecs and the eigenvalues, against numbers
 * that NumPy computed from the equations of the documentation; {@code golden.py} beside {@code golden.json} says how.
 */
class ReferenceGoldenTest {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final JsonNode GOLDEN = golden();
    private static final int ROWS = GOLDEN.get("matrix").size();
    private static final int COLUMNS = GOLDEN.get("matrix").get(0).size();
    private static final Matrix MATRIX = Matrix.of("golden", floats(GOLDEN.get("matrix")), ROWS, COLUMNS);
    private static final int[] RANKS = ints(GOLDEN.get("ranks"));

    private static JsonNode golden() {
        try (InputStream in = ReferenceGoldenTest.class.getResourceAsStream("golden.json")) {
            return new ObjectMapper().readTree(in);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** All numbers of nested arrays. */
    private static double[] doubles(JsonNode node) {
        return node.isArray()
                ? node.valueStream()
                        .flatMapToDouble(inner -> Arrays.stream(doubles(inner)))
                        .toArray()
                : new double[] {node.doubleValue()};
    }

    private static float[] floats(JsonNode node) {
        double[] values = doubles(node);
        float[] floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }

    private static int[] ints(JsonNode node) {
        return Arrays.stream(doubles(node)).mapToInt(value -> (int) value).toArray();
    }

    private static byte[] bytes(JsonNode node) {
        byte[] bytes = new byte[node.size()];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) node.get(i).intValue();
        }
        return bytes;
    }

    private static MemorySegment segment(JsonNode hex) {
        return MemorySegment.ofArray(HexFormat.of().parseHex(hex.textValue()));
    }

    private static String hex(MemorySegment segment) {
        return HexFormat.of().formatHex(segment.toArray(ValueLayout.JAVA_BYTE));
    }

    private static CompressionWorkspace workspace(String metric) {
        boolean identity = metric.equals("identity");
        return new ReferenceBackend()
                .open(new CompressionProblem(
                        MATRIX,
                        floats(GOLDEN.get("weights")),
                        floats(GOLDEN.get("weights")),
                        identity ? null : doubles(GOLDEN.get("root")),
                        identity ? null : doubles(GOLDEN.get("rootInverse"))));
    }

    private static GroupPlan plan(JsonNode plan) {
        String profile = plan.get(1).textValue();
        return new GroupPlan(
                plan.get(0).intValue(), profile.isEmpty() ? BitProfile.EMPTY : BitProfile.parse(profile, COLUMNS));
    }

    private static CompressedMatrix compressed() {
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        int[] groups = ints(GOLDEN.get("groupOf"));
        for (int g = 0; g < GOLDEN.get("plans").size(); g++) {
            GroupPlan plan = plan(GOLDEN.get("plans").get(g));
            JsonNode stored = GOLDEN.get("left").get(g);
            int group = g;
            int rank = plan.rank();
            plans.add(plan);
            left.add(
                    rank == 0
                            ? null
                            : new EncodedMatrix(
                                    plan.profile(),
                                    Arrays.stream(groups)
                                            .filter(i -> i == group)
                                            .count(),
                                    rank,
                                    segment(stored.get("data")),
                                    plan.profile().scaled() ? segment(stored.get("scaleData")) : null,
                                    ScaleFormat.BF16));
        }
        List<EncodedMatrix> right = new ArrayList<>();
        for (JsonNode factor : GOLDEN.get("right")) {
            EncodedMatrix room = EncodedMatrix.allocate(
                    Arena.ofAuto(), BitProfile.of(Codec.F32, COLUMNS), factor.size(), COLUMNS, ScaleFormat.F32);
            for (int k = 0; k < factor.size(); k++) {
                room.encodeRow(k, floats(factor.get(k)), 0);
            }
            right.add(room);
        }
        return new CompressedMatrix("golden", COLUMNS, bytes(GOLDEN.get("groupOf")), plans, left, right);
    }

    @ParameterizedTest
    @ValueSource(strings = {"identity", "metric"})
    void energySpectraAndDirections(String metric) {
        JsonNode expected = GOLDEN.get(metric);
        try (CompressionWorkspace workspace = workspace(metric)) {
            double energy = expected.get("energy").doubleValue();
            assertEquals(energy, workspace.energy(), 1e-12 * energy);
            workspace.accumulate(bytes(GOLDEN.get("basisOf")), RANKS.length);
            List<Spectrum> spectra = workspace.decompose(RANKS);
            for (int b = 0; b < RANKS.length; b++) {
                double trace = expected.get("traces").get(b).doubleValue();
                assertEquals(trace, spectra.get(b).trace(), 1e-12 * trace);
                assertArrayEquals(
                        doubles(expected.get("values").get(b)), spectra.get(b).values(), 1e-12 * trace);
                Directions directions = workspace.directions(b, RANKS[b]);
                double[] projector = new double[COLUMNS * COLUMNS];
                for (int at = 0; at < projector.length; at++) {
                    for (int k = 0; k < RANKS[b]; k++) {
                        projector[at] += (double) directions.right()[k * COLUMNS + at / COLUMNS]
                                * directions.projection()[k * COLUMNS + at % COLUMNS];
                    }
                }
                assertArrayEquals(doubles(expected.get("projectors").get(b)), projector, 1e-5);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"identity", "metric"})
    void assignment(String metric) {
        JsonNode expected = GOLDEN.get(metric);
        List<Candidate> candidates = expected.get("candidates")
                .valueStream()
                .map(c -> new Candidate(
                        c.get(0).intValue(), c.get(1).intValue(), c.get(2).doubleValue()))
                .toList();
        byte[] best = new byte[ROWS];
        float[] gain = new float[ROWS];
        try (CompressionWorkspace workspace = workspace(metric)) {
            workspace.accumulate(bytes(GOLDEN.get("basisOf")), RANKS.length);
            workspace.decompose(RANKS);
            workspace.assign(candidates, bytes(expected.get("current")), best, gain);
            assertArrayEquals(bytes(expected.get("best")), best);
            assertArrayEquals(
                    floats(expected.get("gain")),
                    gain,
                    1e-6f * expected.get("energy").floatValue());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"identity", "metric"})
    void ratingAndChoice(String metric) {
        JsonNode expected = GOLDEN.get(metric);
        List<Directions> bases = new ArrayList<>();
        for (int b = 0; b < RANKS.length; b++) {
            // Rating asks for nothing that turns coordinates back.
            bases.add(new Directions(
                    RANKS[b],
                    floats(expected.get("projections").get(b)),
                    null,
                    floats(GOLDEN.get("wayScales").get(b))));
        }
        List<GroupPlan> plans =
                GOLDEN.get("ways").valueStream().map(ReferenceGoldenTest::plan).toList();
        double[] distortions = doubles(expected.get("distortions"));
        byte[] groupOf = new byte[ROWS];
        try (CompressionWorkspace workspace = workspace(metric)) {
            workspace.rate(bases, plans);
            for (int p = 0; p < distortions.length; p++) {
                double[] bytes = new double[distortions.length];
                Arrays.fill(bytes, Double.POSITIVE_INFINITY);
                bytes[p] = 0;
                double found = workspace.choose(1, bytes, groupOf).distortion();
                assertEquals(
                        distortions[p],
                        found,
                        1e-9 * expected.get("energy").doubleValue(),
                        plans.get(p).toString());
            }
            workspace.choose(expected.get("price").doubleValue(), doubles(GOLDEN.get("wayBytes")), groupOf);
            assertArrayEquals(bytes(expected.get("chosen")), groupOf);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"identity", "metric"})
    void normalEquationsAndLossOfWhatWasStored(String metric) {
        CompressedMatrix stored = compressed();
        List<EncodedMatrix> left = IntStream.range(0, stored.groups().size())
                .mapToObj(stored::left)
                .toList();
        try (CompressionWorkspace workspace = workspace(metric)) {
            List<NormalEquations> equations = workspace.normalEquations(stored.groupOf(), stored.groups(), RANKS, left);
            for (int b = 0; b < RANKS.length; b++) {
                assertArrayEquals(
                        doubles(GOLDEN.get("gram").get(b)), equations.get(b).gram(), 1e-9);
                assertArrayEquals(
                        doubles(GOLDEN.get("cross").get(b)), equations.get(b).cross(), 1e-9);
            }
            double loss = GOLDEN.get(metric).get("loss").doubleValue();
            assertEquals(loss, workspace.loss(stored).weighted(), 1e-6 * loss);
        }
    }

    @Test
    void codecsByteByByte() {
        float[] rows = floats(GOLDEN.get("rows"));
        float[] weights = floats(GOLDEN.get("errorWeights"));
        int width = weights.length;
        int count = rows.length / width;
        for (JsonNode kind : GOLDEN.get("codecs")) {
            BitProfile profile = BitProfile.parse(kind.get("profile").textValue(), width);
            ScaleFormat format = ScaleFormat.valueOf(kind.get("scales").textValue());
            int block = kind.get("block").intValue();
            boolean weighted = kind.get("weighted").booleanValue();
            String what = profile.text() + ", scales " + format + " of " + block + ", weighted " + weighted;
            EncodedMatrix room = EncodedMatrix.allocate(Arena.ofAuto(), profile, count, block, format);
            for (int i = 0; i < count; i++) {
                if (weighted) {
                    room.encodeRow(i, rows, i * width, weights);
                } else {
                    room.encodeRow(i, rows, i * width);
                }
            }
            assertEquals(kind.get("data").textValue(), hex(room.data()), what);
            assertEquals(kind.get("scaleData").textValue(), room.scales() == null ? "" : hex(room.scales()), what);
            if (!weighted) {
                MemorySegment scales = profile.scaled() ? segment(kind.get("scaleData")) : null;
                EncodedMatrix read =
                        new EncodedMatrix(profile, count, block, segment(kind.get("data")), scales, format);
                MemorySegment expected = segment(kind.get("decoded"));
                float[] row = new float[width];
                for (int at = 0; at < count * width; at++) {
                    read.decodeRow(at / width, row, 0);
                    assertEquals(expected.get(F32, 4L * at), row[at % width], what + ", number " + at);
                }
            }
        }
    }

    @Test
    void logitsRanksAndDraws() {
        int states = GOLDEN.get("hidden").size();
        float[] hidden = floats(GOLDEN.get("hidden"));
        int[] ranking = ints(GOLDEN.get("ranking"));
        double[] logSumExp = doubles(GOLDEN.get("logSumExp"));
        float[] expected = floats(GOLDEN.get("logits"));
        float[] logits = new float[states * ROWS];
        float[] rows = new float[ROWS * COLUMNS];
        ReferenceBackend backend = new ReferenceBackend();
        try (SoftmaxHead head =
                        SoftmaxHead.of(backend, compressed(), floats(GOLDEN.get("bias")), HeadOptions.defaults());
                EmbeddingTable table = EmbeddingTable.of(backend, compressed())) {
            States given = States.of(hidden);
            Answers all = head.topK(given, ROWS);
            head.logits(given, logits);
            assertArrayEquals(expected, logits, 1e-5f);
            for (int s = 0; s < states; s++) {
                assertEquals(logSumExp[s], all.logSumExp(s), 1e-6);
                for (int i = 0; i < ROWS; i++) {
                    assertEquals(ranking[s * ROWS + i], all.topToken(s, i));
                    assertEquals(logits[s * ROWS + all.topToken(s, i)], all.topLogit(s, i));
                }
            }
            int[] targets = {22, 0, 3, 17};
            float[] scores = head.logProbabilities(given, targets);
            for (int s = 0; s < states; s++) {
                assertEquals(expected[s * ROWS + targets[s]] - logSumExp[s], scores[s], 1e-5f);
            }
            table.rows(IntStream.range(0, ROWS).toArray(), rows, 0);
            assertArrayEquals(floats(GOLDEN.get("approximation")), rows, 1e-5f);
            for (JsonNode draw : GOLDEN.get("draws")) {
                double[] of = doubles(draw.get("sampling"));
                Sampling sampling = new Sampling(of[0], (int) of[1], of[2], of[3]);
                Request[] requests = new Request[states];
                for (int s = 0; s < states; s++) {
                    requests[s] = Request.sample(sampling, draw.get("seed").longValue())
                            .step(s);
                }
                assertArrayEquals(ints(draw.get("tokens")), head.sample(given, requests), draw.toString());
            }
        }
    }

    @Test
    void comparisonWithTheDenseSoftmax() {
        int states = GOLDEN.get("hidden").size();
        float[] bias = floats(GOLDEN.get("bias"));
        int[] targets = {22, 0, 3, 17};
        TokenScores scores = new ReferenceBackend()
                .compare(new SoftmaxComparison(
                        MATRIX,
                        bias,
                        compressed(),
                        bias,
                        Matrix.of("hidden", floats(GOLDEN.get("hidden")), states, COLUMNS),
                        targets,
                        5));
        assertArrayEquals(doubles(GOLDEN.get("denseLogSumExp")), scores.denseLogSumExp(), 1e-12);
        assertArrayEquals(doubles(GOLDEN.get("logSumExp")), scores.compressedLogSumExp(), 1e-5);
        assertArrayEquals(doubles(GOLDEN.get("expectedGap")), scores.expectedGap(), 1e-4);
        for (int s = 0; s < states; s++) {
            double[] dense = doubles(GOLDEN.get("denseLogits").get(s));
            double[] logits = doubles(GOLDEN.get("logits").get(s));
            assertEquals(dense[targets[s]], scores.denseTargetLogit()[s], 1e-5);
            assertEquals(logits[targets[s]], scores.compressedTargetLogit()[s], 1e-5);
            int[] ranking = ints(GOLDEN.get("ranking").get(s));
            int[] denseRanking = IntStream.range(0, ROWS)
                    .boxed()
                    .sorted(Comparator.comparingDouble(i -> -dense[i]))
                    .mapToInt(i -> i)
                    .toArray();
            for (int place = 0; place < 5; place++) {
                assertEquals(denseRanking[place], scores.denseTop()[5 * s + place]);
                assertEquals(ranking[place], scores.compressedTop()[5 * s + place]);
            }
        }
    }

    @Test
    void eigenvaluesNegativeAndRepeated() {
        double[] expected = doubles(GOLDEN.get("eigen").get("values"));
        double[] matrix = doubles(GOLDEN.get("eigen").get("matrix"));
        int n = expected.length;
        SymmetricEigen eigen = SymmetricEigen.of(matrix, n);
        assertArrayEquals(expected, eigen.values(), 1e-12);
        double[] vectors = eigen.vectors();
        for (int r = 0; r < n; r++) {
            for (int c = 0; c < n; c++) {
                double product = 0;
                double dot = 0;
                for (int j = 0; j < n; j++) {
                    product += expected[j] * vectors[j * n + r] * vectors[j * n + c];
                    dot += vectors[r * n + j] * vectors[c * n + j];
                }
                assertEquals(matrix[r * n + c], product, 1e-12);
                assertEquals(r == c ? 1 : 0, dot, 1e-12);
            }
        }
    }
}
