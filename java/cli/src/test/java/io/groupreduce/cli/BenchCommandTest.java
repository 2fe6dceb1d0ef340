package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.cli.Shell.Outcome;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code groupreduce bench FILE}. */
class BenchCommandTest {
    private static final Set<String> CODECS = Set.of("dense-f32", "stored", "f32", "bf16", "int8", "int4");

    @TempDir
    Path directory;

    private Path compressed;

    @BeforeEach
    void makeFile() throws Exception {
        Path model = Shell.model(directory);
        compressed = directory.resolve("small.safetensors");
        assertEquals(
                0,
                Shell.run("compress", model, "-o", compressed, "--codec", "f32").code());
    }

    /** Every codec with every batch once for each query, all figures finite, positive, and in agreement. */
    static void requireSoftmax(JsonNode document, int rows) {
        double bandwidth = document.path("readBandwidthGBs").asDouble();
        assertTrue(bandwidth > 0 && Double.isFinite(bandwidth), document.toString());
        assertTrue(document.path("threads").asInt() >= 1);
        assertEquals(rows, document.path("denseRowsMeasured").asInt());
        requireEntries(document.path("softmax"), "top10", bandwidth, 1, 4, 16, 64, 256);
        requireEntries(document.path("greedy"), "greedy", bandwidth, 1);
    }

    private static void requireEntries(JsonNode entries, String query, double bandwidth, int... batches) {
        Set<String> expected = new HashSet<>();
        for (String codec : CODECS) {
            for (int batch : batches) {
                expected.add(codec + " " + batch);
            }
        }
        List<String> found = new ArrayList<>();
        for (JsonNode entry : entries) {
            found.add(entry.path("codec").asText() + " " + entry.path("batch").asInt());
            assertEquals(query, entry.path("query").asText());
            for (String figure :
                    List.of("latencyMicros", "bytesRead", "bandwidthShare", "tokensPerSecond", "speedupOverDenseF32")) {
                double value = entry.path(figure).asDouble();
                assertTrue(value > 0 && Double.isFinite(value), entry.toString());
            }
            assertTrue(entry.path("spreadMicros").asDouble(-1) >= 0, entry.toString());
            double share = entry.path("bytesRead").asDouble()
                    / entry.path("latencyMicros").asDouble()
                    / 1e3
                    / bandwidth;
            assertEquals(share, entry.path("bandwidthShare").asDouble(), 1e-9 * share);
            if (entry.path("codec").asText().equals("dense-f32")) {
                assertEquals(1, entry.path("speedupOverDenseF32").asDouble());
            }
        }
        assertEquals(expected, Set.copyOf(found));
        assertEquals(expected.size(), found.size(), "each once");
    }

    @Test
    void aFileIsMeasuredInEveryCodecAndBatch() {
        Outcome outcome = Shell.run("bench", compressed, "--json");
        assertEquals(0, outcome.code(), outcome.err());
        JsonNode document = outcome.json();
        assertEquals(compressed.toString(), document.path("file").asText());
        assertEquals("softmax.weight", document.path("tensor").asText());
        assertEquals(Shell.ROWS, document.path("rows").asInt());
        assertEquals(Shell.COLUMNS, document.path("columns").asInt());
        assertFalse(document.path("device").asText().isEmpty());
        assertFalse(document.path("description").asText().isEmpty());
        requireSoftmax(document, Shell.ROWS);
        try (CompressedFile file = CompressedFile.open(compressed)) {
            CompressedMatrix matrix = file.require("softmax.weight");
            long bias = (long) Shell.ROWS * (matrix.bias() == null ? Float.BYTES : Short.BYTES);
            for (JsonNode entry : document.path("softmax")) {
                long dense = (long) Shell.ROWS * Shell.COLUMNS * Float.BYTES + bias;
                long expected =
                        switch (entry.path("codec").asText()) {
                            case "dense-f32" -> dense;
                            case "stored" -> BenchMatrices.factorBytes(matrix) + bias;
                            case "f32" -> BenchMatrices.recodedBytes(matrix, Codec.F32) + bias;
                            default -> entry.path("bytesRead").asLong();
                        };
                assertEquals(expected, entry.path("bytesRead").asLong(), entry.toString());
            }
        }
    }

    @Test
    void aTableIsPrintedForPeople() {
        Outcome outcome = Shell.run("bench", compressed, "--tensor", "embedding.weight", "--threads", "1");
        assertEquals(0, outcome.code(), outcome.err());
        assertTrue(outcome.out().contains("embedding.weight, 600 x 24"), outcome.out());
        assertTrue(outcome.out().contains("GB/s with 1 thread;"), outcome.out());
        for (String codec : CODECS) {
            long lines = outcome.out()
                    .lines()
                    .filter(line -> line.startsWith(codec + " "))
                    .count();
            assertEquals(6, lines, outcome.out());
        }
        assertTrue(outcome.out().lines().allMatch(line -> line.length() <= 180), outcome.out());
    }

    private void refused(int code, String part, Object... arguments) {
        List<Object> all = new ArrayList<>(List.of("bench", "--json", "--device", "cpu"));
        all.addAll(List.of(arguments));
        Outcome outcome = Shell.run(all.toArray());
        assertEquals(code, outcome.code(), outcome.err());
        assertEquals("", outcome.out());
        assertEquals(1, outcome.err().lines().count(), outcome.err());
        assertTrue(outcome.err().startsWith("groupreduce: "), outcome.err());
        assertTrue(outcome.err().contains(part), outcome.err());
    }

    @Test
    void filesThatAreNoCompressedOnes() throws Exception {
        refused(1, "does not exist", directory.resolve("missing.safetensors"));
        refused(1, "holds no compressed matrix", directory.resolve("model.safetensors"));
        refused(1, "holds no compressed matrix", directory);
        byte[] bytes = Files.readAllBytes(compressed);
        String text = new String(bytes, StandardCharsets.ISO_8859_1);
        String version = "\\\"format\\\":" + CompressedFile.FORMAT_VERSION;
        assertTrue(text.contains(version));
        Path newer = directory.resolve("newer.safetensors");
        Files.write(newer, text.replace(version, "\\\"format\\\":9").getBytes(StandardCharsets.ISO_8859_1));
        refused(1, "install a newer version", newer);
    }

    @Test
    void matricesThatAreNotThere() {
        refused(1, "\"nope\"", compressed, "--tensor", "nope");
        Path unclear = directory.resolve("unclear.safetensors");
        try (CompressedFile file = CompressedFile.open(compressed)) {
            CompressedMatrix matrix = file.require("softmax.weight");
            List<CompressedEntry> entries = List.of(
                    new CompressedEntry(matrix.named("first"), Map.of()),
                    new CompressedEntry(matrix.named("second"), Map.of()));
            CompressedFile.write(unclear, entries, List.of(), Map.of(), Map.of());
        }
        refused(1, "it has \"first\", \"second\"; name one. --tensor takes the name.", unclear);
    }

    @Test
    void aFactorThatIsNotFinite() {
        Path damaged = directory.resolve("damaged.safetensors");
        try (CompressedFile file = CompressedFile.open(compressed)) {
            CompressedMatrix matrix = file.require("softmax.weight");
            int group = matrix.group(7);
            List<EncodedMatrix> left = new ArrayList<>();
            for (int g = 0; g < matrix.groups().size(); g++) {
                left.add(g == group ? damaged(matrix.left(g), matrix.slot(7)) : matrix.left(g));
            }
            List<EncodedMatrix> right = new ArrayList<>();
            for (int b = 0; b < matrix.bases(); b++) {
                right.add(matrix.right(b));
            }
            CompressedMatrix bad = new CompressedMatrix(
                    "softmax.weight", matrix.columns(), matrix.groupOf(), matrix.groups(), left, right);
            CompressedFile.write(damaged, List.of(new CompressedEntry(bad, Map.of())), List.of(), Map.of(), Map.of());
        }
        refused(1, "left factor of group", damaged);
    }

    /** A copy with NaN at the beginning of a row. */
    private static EncodedMatrix damaged(EncodedMatrix factor, int row) {
        MemorySegment data = MemorySegment.ofArray(factor.data().toArray(ValueLayout.JAVA_BYTE));
        data.set(ValueLayout.JAVA_INT_UNALIGNED, row * factor.profile().rowBytes(), Float.floatToRawIntBits(Float.NaN));
        return new EncodedMatrix(factor.profile(), factor.rows(), factor.block(), data, null, factor.scaleFormat());
    }

    @Test
    void optionsThatDoNotGoTogether() {
        refused(2, "--rows", compressed, "--rows", "1000");
        refused(2, "--columns", compressed, "--columns", "10");
        refused(2, "name the file", "--tensor", "softmax.weight");
        refused(2, "at least 100", "--rows", "3");
        refused(2, "--threads", compressed, "--threads", "0");
    }
}
