package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.CompressedMatrix;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which compressed matrix of a file is the output, which the embedding, and which bias belongs to it. */
class CompressedRolesTest {
    @TempDir
    Path directory;

    private CompressedFile file(List<String> names, List<Tensor> copied, Map<String, String> tied) {
        return file(names, copied, tied, Map.of());
    }

    private CompressedFile file(
            List<String> names, List<Tensor> copied, Map<String, String> tied, Map<String, String> biases) {
        CompressedMatrix matrix = CompressedFixture.matrix().withBias(null);
        Path path = directory.resolve("roles.safetensors");
        List<CompressedEntry> entries = names.stream()
                .map(name ->
                        new CompressedEntry(matrix.named(name), Map.of(), new Logits(1, biases.get(name), 0, null)))
                .toList();
        CompressedFile.write(path, entries, copied, Map.of(), tied);
        return CompressedFile.open(path);
    }

    private static Tensor bias(String name, float value) {
        float[] values = new float[CompressedFixture.ROWS];
        values[0] = value;
        return FormatFixtures.f32(name, new long[] {values.length}, values);
    }

    @Test
    void namesTellTheRoles() {
        try (CompressedFile file =
                file(List.of("model.embed_tokens.weight", "lm_head.weight", "other"), List.of(), Map.of())) {
            assertEquals("lm_head.weight", file.outputMatrix().name());
            assertEquals("model.embed_tokens.weight", file.embeddingMatrix().name());
        }
    }

    @Test
    void aTiedNameTellsTheRoleToo() {
        try (CompressedFile file =
                file(List.of("vocabulary", "other"), List.of(), Map.of("lm_head.weight", "vocabulary"))) {
            assertEquals("vocabulary", file.outputMatrix().name());
            assertEquals("vocabulary", file.embeddingMatrix().name());
        }
    }

    @Test
    void theOnlyMatrixIsBoth() {
        for (String name : List.of("anything", "lm_head.weight", "wte.weight")) {
            try (CompressedFile file = file(List.of(name), List.of(), Map.of())) {
                assertEquals(name, file.outputMatrix().name());
                assertEquals(name, file.embeddingMatrix().name());
            }
        }
    }

    @Test
    void anEmbeddingServesAsOutputWhereNoneIsStored() {
        try (CompressedFile file = file(List.of("wte.weight", "other"), List.of(), Map.of())) {
            assertEquals("wte.weight", file.outputMatrix().name());
        }
    }

    @Test
    void aDenseOutputIsNotPassedOver() {
        Tensor dense = FormatFixtures.matrix("lm_head.weight", 3, 2, 0);
        try (CompressedFile file = file(List.of("wte.weight"), List.of(dense), Map.of())) {
            assertFails(
                    InvalidDataException.class,
                    file::outputMatrix,
                    "\"lm_head.weight\" is not compressed",
                    "\"wte.weight\"",
                    "; name one.");
            assertEquals("wte.weight", file.embeddingMatrix().name());
        }
    }

    @Test
    void noneOrSeveralAreListed() {
        try (CompressedFile file = file(List.of("a", "b"), List.of(), Map.of())) {
            assertFails(InvalidDataException.class, file::outputMatrix, "\"a\"", "\"b\"", "; name one.");
            assertFails(InvalidDataException.class, file::embeddingMatrix, "\"a\"", "\"b\"", "embedding");
        }
        try (CompressedFile file = file(List.of("lm_head.weight", "softmax.weight"), List.of(), Map.of())) {
            assertFails(InvalidDataException.class, file::outputMatrix, "\"lm_head.weight\"", "\"softmax.weight\"");
        }
    }

    @Test
    void theBiasIsTheMatrixsOwnElseTheOneThatTheFileNames() {
        List<Tensor> copied = List.of(bias("lm_head.bias", 4), bias("softmax.bias", 5));
        Map<String, String> tied = Map.of("tied", "lm_head.weight");
        try (CompressedFile file =
                file(List.of("lm_head.weight", "other"), copied, tied, Map.of("lm_head.weight", "softmax.bias"))) {
            assertEquals(5, file.softmaxBias("lm_head.weight").orElseThrow()[0]);
            assertEquals(5, file.softmaxBias("tied").orElseThrow()[0]);
            assertTrue(file.softmaxBias("other").isEmpty());
            assertFails(InvalidDataException.class, () -> file.softmaxBias("none"), "\"none\"");
        }
        CompressedMatrix own = CompressedFixture.matrix();
        Path path = directory.resolve("own.safetensors");
        CompressedFile.write(
                path,
                List.of(new CompressedEntry(own, Map.of(), new Logits(1, "lm_head.bias", 0, null))),
                List.of(bias("lm_head.bias", 7)),
                Map.of(),
                Map.of());
        try (CompressedFile file = CompressedFile.open(path)) {
            assertArrayEquals(own.bias(), file.softmaxBias("lm_head.weight").orElseThrow());
        }
    }
}
