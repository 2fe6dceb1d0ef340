package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.GroupReduce;
import io.groupreduce.SeededData;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CompressedFileTest {
    private static final int ROWS = 400;
    private static final int COLUMNS = 33;

    @TempDir
    Path directory;

    private Path input;
    private Path counts;
    private Path output;
    private float[] values;

    @BeforeEach
    void writeModel() throws Exception {
        input = directory.resolve("model.safetensors");
        counts = directory.resolve("counts.txt");
        output = directory.resolve("out.safetensors");
        values = SeededData.powerLaw(7, ROWS, COLUMNS, 0.6);
        float[] bias = new float[ROWS];
        SafetensorsWriter.write(
                input,
                List.of(
                        tensor("softmax.weight", values, ROWS, COLUMNS),
                        tensor("softmax.bias", bias, ROWS),
                        tensor("other", new float[] {1, 2, 3}, 3)),
                Map.of("format", "pt"));
        List<String> lines = new ArrayList<>();
        for (long c : SeededData.zipfCounts(7, ROWS, 40_000)) {
            lines.add(Long.toString(c));
        }
        Files.write(counts, lines);
    }

    private static Tensor tensor(String name, float[] values, long... shape) {
        return new Tensor(name, DType.F32, shape, MemorySegment.ofArray(values));
    }

    private void compress(CompressionOptions options) {
        try (ReferenceBackend backend = new ReferenceBackend()) {
            CompressionJob job = CompressionJob.of(input, output)
                    .withCounts(counts)
                    .withOptions(options)
                    .withOverwrite(true);
            GroupReduce.compress(job, backend, Progress.NONE, sentence -> {});
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"GROUPREDUCE", "RATE_DISTORTION"})
    void everyCodecSurvivesTheDiskAndMeetsItsSize(Method method) {
        for (Codec codec : Codec.values()) {
            for (double ratio : new double[] {3, 6.6}) {
                compress(CompressionOptions.paper()
                        .withMethod(method)
                        .withCodec(codec)
                        .withRefineRounds(2)
                        .withTarget(SizeTarget.ratio(ratio)));
                try (CompressedFile file = CompressedFile.open(output)) {
                    CompressedMatrix matrix = file.require("softmax.weight");
                    String what = method + ", " + codec + " at " + ratio;
                    assertTrue(matrix.bytes() <= values.length * 4L / ratio, what + ": " + matrix.bytes());
                    assertEquals(matrix.bytes() - matrix.headerBytes(), bytesOnDisk(file), what);
                    JsonNode provenance = file.described("softmax.weight");
                    try (ReferenceBackend backend = new ReferenceBackend()) {
                        Matrix dense = Matrix.of("m", values, ROWS, COLUMNS);
                        long[] known = CountsFile.read(counts, ROWS);
                        double measured = GroupReduce.relativeError(backend, dense, known, 1, matrix);
                        assertEquals(provenance.path("relativeError").asDouble(), measured, 1e-6, what);
                        double alpha = provenance.path("options").path("alpha").asDouble();
                        double minimised = GroupReduce.relativeError(backend, dense, known, alpha, matrix);
                        double share = provenance.path("loss").asDouble()
                                / provenance.path("energy").asDouble();
                        assertEquals(Math.sqrt(share), minimised, 1e-6, what);
                        assertTrue(measured < 0.9, what + ": " + measured);
                    }
                }
            }
        }
    }

    /** Bytes of the tensors that replace the matrix, counted in the file itself. */
    private long bytesOnDisk(CompressedFile file) {
        try (Safetensors raw = Safetensors.open(output)) {
            return raw.tensors().values().stream()
                    .filter(t -> !file.copied().containsKey(t.name()))
                    .mapToLong(Tensor::bytes)
                    .sum();
        }
    }

    @Test
    void theRestIsCopiedAndMetadataKept() {
        compress(CompressionOptions.paper());
        try (CompressedFile file = CompressedFile.open(output)) {
            assertEquals(Map.of("format", "pt"), file.sourceMetadata());
            assertArrayEquals(new float[] {1, 2, 3}, file.copied().get("other").floats());
            assertEquals(2, file.copied().size());
        }
    }

    @Test
    void theSameInputGivesTheSameBytes() throws Exception {
        compress(CompressionOptions.paper());
        byte[] first = Files.readAllBytes(output);
        compress(CompressionOptions.paper());
        assertArrayEquals(first, Files.readAllBytes(output));
    }

    @Test
    void aDenseExportHoldsTheProductAndTheRest() {
        compress(CompressionOptions.paper().withCodec(Codec.INT8));
        Path dense = directory.resolve("dense.safetensors");
        try (CompressedFile file = CompressedFile.open(output)) {
            DenseExport.write(file, dense);
            float[] expected = new float[values.length];
            file.require("softmax.weight").decodeRows(0, ROWS, expected, 0);
            try (Safetensors plain = Safetensors.open(dense)) {
                assertEquals(3, plain.tensors().size());
                assertArrayEquals(expected, plain.require("softmax.weight").floats());
                assertEquals(Map.of("format", "pt"), plain.metadata());
            }
        }
        assertEquals(4, directory.toFile().list().length, "no scratch file is left");
    }

    @Test
    void aPlainFileIsNotCompressed() {
        InvalidDataException e = assertThrows(InvalidDataException.class, () -> CompressedFile.open(input));
        assertTrue(e.getMessage().contains("holds no compressed matrix"), e.getMessage());
    }

    @Test
    void anotherVersionIsNamed() {
        for (int version : new int[] {1, 2, 4, 1_000_000}) {
            rewrite(List.of(), "{\"format\":" + version + ",\"tensors\":{}}");
            InvalidDataException e = assertThrows(InvalidDataException.class, () -> CompressedFile.open(output));
            assertTrue(e.getMessage().contains("format version " + version + ", but"), e.getMessage());
            assertTrue(
                    e.getMessage().endsWith("compress the model again, or install a newer version."), e.getMessage());
        }
    }

    @Test
    void damagedMetadataIsNamed() {
        for (String text : List.of("nonsense", "{}", "{\"format\":3}", "{\"format\":3,\"tensors\":{\"w\":{}}}")) {
            rewrite(List.of(), text);
            assertThrows(MalformedFileException.class, () -> CompressedFile.open(output), text);
        }
    }

    @Test
    void everyMissingOrMisfittingPartIsNamed() {
        compress(CompressionOptions.paper().withCodec(Codec.INT8));
        List<Tensor> all = new ArrayList<>();
        String metadata;
        try (Safetensors raw = Safetensors.open(output)) {
            metadata = raw.metadata().get(CompressedFile.METADATA_KEY);
            for (Tensor t : raw.tensors().values()) {
                byte[] copy = t.data().toArray(ValueLayout.JAVA_BYTE);
                all.add(new Tensor(t.name(), t.type(), t.shape(), MemorySegment.ofArray(copy)));
            }
        }
        int parts = 0;
        for (int i = 0; i < all.size(); i++) {
            Tensor part = all.get(i);
            if (!part.name().startsWith("softmax.weight.")) {
                continue;
            }
            parts++;
            List<Tensor> without = new ArrayList<>(all);
            without.remove(i);
            rewrite(without, metadata);
            assertDamaged(part.name());
            List<Tensor> shorter = new ArrayList<>(all);
            long[] shape = part.shape();
            shape[0]--;
            long bytes = part.bytes() / (shape[0] + 1) * shape[0];
            shorter.set(
                    i, new Tensor(part.name(), part.type(), shape, part.data().asSlice(0, bytes)));
            rewrite(shorter, metadata);
            assertDamaged(part.name());
            // One bad group number must be noticed too.
            if (part.name().endsWith(".groups")) {
                byte[] groups = part.data().toArray(ValueLayout.JAVA_BYTE);
                groups[17] = (byte) 200;
                List<Tensor> wrong = new ArrayList<>(all);
                wrong.set(i, new Tensor(part.name(), part.type(), part.shape(), MemorySegment.ofArray(groups)));
                rewrite(wrong, metadata);
                assertDamaged(part.name());
            }
        }
        assertEquals(3, parts);
    }

    private void assertDamaged(String part) {
        GroupReduceException e = assertThrows(GroupReduceException.class, () -> CompressedFile.open(output), part);
        assertTrue(e.getMessage().contains("softmax.weight"), e.getMessage());
    }

    private void rewrite(List<Tensor> tensors, String metadata) {
        SafetensorsWriter.write(output, tensors, Map.of(CompressedFile.METADATA_KEY, metadata));
    }
}
