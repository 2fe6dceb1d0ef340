package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.cli.Shell.Outcome;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Safetensors;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.DType;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What commands say and do about which matrix is what. */
class VocabularyCommandTest extends RefusalCase {
    private static final int FEWER = Shell.ROWS - 8;

    private Path save(String name, Tensor... tensors) {
        Path file = directory.resolve(name);
        SafetensorsWriter.write(file, List.of(tensors), Map.of());
        return file;
    }

    private static Tensor matrix(String name, long seed, int rows) {
        return Shell.tensor(name, Shell.matrix(seed, rows), rows, Shell.COLUMNS);
    }

    /** An embedding with a few rows more than the output. */
    private Path uneven() {
        return save("uneven.safetensors", matrix("wte.weight", 1, Shell.ROWS), matrix("lm_head.weight", 2, FEWER));
    }

    private Path counts(String name, int lines) throws Exception {
        List<String> text = new ArrayList<>(Files.readAllLines(counts));
        return Files.write(directory.resolve(name), text.subList(0, lines));
    }

    private Outcome compress(Path input, Object... more) {
        List<Object> arguments = new ArrayList<>(List.of("compress", input, "-o", output));
        arguments.addAll(Arrays.asList(more));
        if (!arguments.contains("--method")) {
            arguments.addAll(List.of("--method", "svd"));
        }
        return Shell.run(arguments.toArray());
    }

    @Test
    void inspectSaysWhatWouldBeCompressed() {
        Tensor codes = new Tensor(
                "mtp.lm_head.weight",
                DType.F32,
                new long[] {Shell.ROWS, Shell.COLUMNS},
                MemorySegment.ofArray(Shell.matrix(3, Shell.ROWS)));
        Path tied = save(
                "tied.safetensors",
                matrix("lm_head.weight", 1, Shell.ROWS),
                matrix("wte.weight", 1, Shell.ROWS),
                Shell.tensor("lm_head.bias", new float[Shell.ROWS], Shell.ROWS),
                codes);
        String text = Shell.run("inspect", tied).out();
        assertTrue(text.contains("embedding and output"), text);
        JsonNode found = Shell.run("inspect", tied, "--json").json().path("vocabulary");
        assertEquals(3, found.size());
        JsonNode head = found.get(0);
        assertEquals("lm_head.weight", head.path("name").asText());
        assertEquals("output", head.path("role").asText());
        assertEquals("wte.weight", head.path("sameAs").asText());
        assertTrue(head.path("compressed").asBoolean());
        JsonNode left = found.get(2);
        assertFalse(left.path("compressed").asBoolean());
        assertTrue(left.path("why").asText().contains("further tokens"));
        JsonNode embedding = found.get(1);
        assertTrue(embedding.path("servesAsOutput").asBoolean());
        assertEquals("lm_head.bias", embedding.path("bias").asText());
        JsonNode chosen = Shell.run("inspect", tied, "--json", "--output-tensor", "mtp.lm_head.weight")
                .json()
                .path("vocabulary");
        assertTrue(chosen.get(2).path("servesAsOutput").asBoolean());
        assertFalse(chosen.get(1).path("servesAsOutput").asBoolean());
    }

    @Test
    void inspectSaysThatNothingIsFound() {
        String text = Shell.run("inspect", save("names.safetensors", matrix("table", 1, Shell.ROWS)))
                .out();
        assertTrue(
                text.startsWith("No embedding or output matrix has a known name; name one with --output-tensor"), text);
    }

    @Test
    void inspectSaysWhatMakesTheLogits() throws Exception {
        Path folder = Files.createDirectory(directory.resolve("capped"));
        SafetensorsWriter.write(
                folder.resolve("model.safetensors"), List.of(matrix("wte.weight", 1, Shell.ROWS)), Map.of());
        Files.writeString(folder.resolve("config.json"), "{\"final_logit_softcapping\": 30, \"logits_scaling\": 8}");
        assertEquals(0, compress(folder).code());
        for (Path file : List.of(folder, output)) {
            String text = Shell.run("inspect", file).out();
            assertTrue(text.contains("0.1250"), text);
            assertTrue(text.contains("--hidden is refused for wte.weight: the model caps its logits softly"), text);
            JsonNode document = Shell.run("inspect", file, "--json").json();
            JsonNode matrix =
                    document.path(file == output ? "compressed" : "vocabulary").get(0);
            assertEquals(30, matrix.path("cap").asDouble());
            assertEquals(0.125, matrix.path("scale").asDouble());
        }
    }

    @Test
    void whatIsLeftOutIsSaidOnce() {
        Path file = save(
                "mixed.safetensors",
                matrix("wte.weight", 1, Shell.ROWS),
                new Tensor("lm_head.qweight", DType.I32, new long[] {3, 600}, MemorySegment.ofArray(new byte[7200])));
        Outcome outcome = compress(file);
        assertEquals(0, outcome.code(), outcome.err());
        String said = "groupreduce: \"lm_head.qweight\" is not compressed: it is stored quantised";
        assertEquals(
                1, outcome.err().lines().filter(line -> line.startsWith(said)).count(), outcome.err());
        assertFalse(outcome.err().contains("convert"));
        String text = Shell.run("inspect", file).out();
        assertTrue(text.contains("Hidden states meet none of these: the output \"lm_head.qweight\" is stored"), text);
    }

    @Test
    void statesThatMeetNoKnownOutputAreRefused() throws Exception {
        Path hidden = directory.resolve("hidden.safetensors");
        Tensor embedding = matrix("wte.weight", 1, Shell.ROWS);
        Tensor codes =
                new Tensor("lm_head.qweight", DType.I32, new long[] {3, 600}, MemorySegment.ofArray(new byte[7200]));
        refused(1, "is stored quantised", save("packed.safetensors", embedding, codes), "--hidden", hidden);
        Path unknown = save("unknown.safetensors", embedding, matrix("to_words", 2, Shell.ROWS));
        refused(1, "\"to_words\" has the vocabulary's size", unknown, "--hidden", hidden);
        Outcome named = Shell.run(
                "compress",
                unknown,
                "-o",
                output,
                "--force",
                "--hidden",
                hidden,
                "--output-tensor",
                "to_words",
                "--json");
        assertEquals(0, named.code(), named.err());
        JsonNode fitted = named.json().path("tensors").get(1).path("evaluation");
        JsonNode judged = Shell.run("eval", output, "--reference", unknown, "--hidden", hidden, "--json")
                .json();
        assertEquals("to_words", judged.path("tensor").asText());
        assertEquals(fitted.path("meanKl").asDouble(), judged.path("meanKl").asDouble(), 1e-6);
        try (CompressedFile file = CompressedFile.open(output)) {
            assertEquals("to_words", file.outputMatrix().name());
        }
    }

    /** A head that is opened on the file must not take an embedding for the output that was left out. */
    @Test
    void aFileKnowsThatItsEmbeddingIsNoOutput() throws Exception {
        Path folder = Files.createDirectory(directory.resolve("untied"));
        SafetensorsWriter.write(
                folder.resolve("model.safetensors"), List.of(matrix("wte.weight", 1, Shell.ROWS)), Map.of());
        for (boolean tied : new boolean[] {true, false}) {
            Files.writeString(folder.resolve("config.json"), "{\"tie_word_embeddings\": " + tied + "}");
            assertEquals(0, compress(folder, "--force").code());
            try (CompressedFile file = CompressedFile.open(output)) {
                assertEquals("wte.weight", file.embeddingMatrix().name());
                assertEquals(tied, file.outputName().isPresent());
                assertEquals(tied, answers(file));
            }
        }
    }

    private static boolean answers(CompressedFile file) {
        try {
            return file.outputMatrix() != null;
        } catch (InvalidDataException e) {
            return false;
        }
    }

    @Test
    void theBiasThatWasNamedStaysWithTheFile() throws Exception {
        float[] logits = new float[Shell.ROWS];
        logits[5] = 3;
        Path file = save(
                "biased.safetensors",
                matrix("softmax.weight", 2, Shell.ROWS),
                Shell.tensor("softmax.bias", new float[Shell.ROWS], Shell.ROWS),
                Shell.tensor("prior", logits, Shell.ROWS));
        assertEquals(0, compress(file, "--bias", "prior").code());
        try (CompressedFile compressed = CompressedFile.open(output)) {
            assertEquals(3, compressed.softmaxBias("softmax.weight").orElseThrow()[5]);
        }
        refused(1, "\"nothing\"", file, "--bias", "nothing");
    }

    @Test
    void eachMatrixMayHaveCountsOfItsOwn() throws Exception {
        Path file = uneven();
        Path few = counts("few.txt", FEWER);
        Outcome padded = compress(file, "--method", "weighted-svd", "--counts", few);
        assertEquals(0, padded.code(), padded.err());
        assertTrue(padded.err().contains("592 lines for the 600 rows of a matrix; the last 8 rows count 0."));
        refused(1, "600 lines but the matrix has 592 rows", file, "--counts", counts);
        Object[] both = {"--counts", few, "--counts", "wte.weight=" + counts};
        Outcome own = compress(file, "--method", "weighted-svd", "--force", both[0], both[1], both[2], both[3]);
        assertEquals(0, own.code(), own.err());
        assertFalse(own.err().contains("count 0"), own.err());
        refused(1, "'other', which is not compressed", file, "--counts", "other=" + counts);
        refused(2, "once for each", file, "--counts", few, "--counts", counts);
        Outcome one = compress(file, "--method", "weighted-svd", "--force", "--counts", "lm_head.weight=" + few);
        assertTrue(one.err().contains("every token counts alike"), one.err());
    }

    @Test
    void aTensorIsAddedToACompressedFile() throws Exception {
        Path file = uneven();
        assertEquals(
                0,
                compress(file, "--tensor", "lm_head.weight", "--packed", "--method", "rate-distortion")
                        .code());
        Path more = directory.resolve("more.safetensors");
        Outcome outcome =
                Shell.run("compress", output, "-o", more, "--tensor", "wte.weight", "--method", "svd", "--json");
        assertEquals(0, outcome.code(), outcome.err());
        assertEquals(1, outcome.json().path("tensors").size());
        assertEquals(
                "wte.weight", outcome.json().path("tensors").get(0).path("name").asText());
        try (CompressedFile first = CompressedFile.open(output);
                CompressedFile second = CompressedFile.open(more);
                Safetensors before = Safetensors.open(output);
                Safetensors after = Safetensors.open(more)) {
            assertEquals(2, second.matrices().size());
            assertEquals(first.provenance("lm_head.weight"), second.provenance("lm_head.weight"));
            assertEquals("lm_head.weight", second.outputMatrix().name());
            assertEquals(false, second.provenance("wte.weight").get("output"));
            assertFalse(outcome.err().contains("config.json"), outcome.err());
            assertFalse(second.copied().containsKey("wte.weight"));
            for (Tensor part : before.tensors().values()) {
                if (!part.name().equals("wte.weight")) {
                    assertEquals(
                            -1, part.data().mismatch(after.require(part.name()).data()), part.name());
                }
            }
        }
        Files.copy(output, directory.resolve("first.safetensors"));
        Path first = directory.resolve("first.safetensors");
        refused(1, "tensor lm_head.weight is compressed already", first, "--tensor", "lm_head.weight");
        refused(1, "part of a compressed matrix", first, "--tensor", "lm_head.weight.rows");
        refused(1, "\"none\"", first, "--tensor", "none");
        refused(1, "--tensor", first);
        Path hidden = directory.resolve("hidden.safetensors");
        refused(1, "compressed already", first, "--tensor", "wte.weight", "--hidden", hidden);
    }

    @Test
    void anAddedOutputWantsItsConfiguration() throws Exception {
        assertEquals(0, compress(uneven(), "--tensor", "wte.weight").code());
        Path more = directory.resolve("more.safetensors");
        Object[] adding = {"compress", output, "-o", more, "--tensor", "lm_head.weight", "--method", "svd", "--force"};
        assertTrue(Shell.run(adding).err().contains("no config.json beside it"));
        Files.writeString(directory.resolve("config.json"), "{\"logits_scaling\": 4}");
        Outcome outcome = Shell.run(adding);
        assertFalse(outcome.err().contains("config.json"), outcome.err());
        try (CompressedFile second = CompressedFile.open(more)) {
            assertEquals(0.25, second.logits("lm_head.weight").scale());
        }
    }
}
