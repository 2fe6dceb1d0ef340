package io.groupreduce.models.gguf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufExportTest {
    private static final int ROWS = 64;
    private static final int COLUMNS = 64;

    private final List<String> told = new ArrayList<>();

    @TempDir
    Path folder;

    private static float[] normal(long seed, int count) {
        Random random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** Metadata of odd lengths, an untied model in F32. */
    private static TestGguf sample() {
        return new TestGguf()
                .with("general.architecture", "llama")
                .with("tokenizer.ggml.tokens", List.of("a", "bc", ""))
                .with("general.file_type", 0)
                .floats("token_embd.weight", normal(1, ROWS * COLUMNS), COLUMNS, ROWS)
                .floats("blk.0.norm", normal(3, 5), 5)
                .floats("output.weight", normal(2, ROWS * COLUMNS), COLUMNS, ROWS)
                .tensor("blk.1.odd", 24, new byte[] {1, 2, 3}, 3);
    }

    private Path model() {
        return sample().write(folder.resolve("model.gguf"));
    }

    private Path states(int columns) {
        float[] states = normal(9, 200 * columns);
        for (int i = 0; i < states.length; i++) {
            states[i] *= i % columns < 4 ? 1 : 0.1f;
        }
        Path file = folder.resolve("hidden.safetensors");
        SafetensorsWriter.write(
                file,
                List.of(new Tensor(
                        "hidden",
                        DType.F32,
                        new long[] {200, columns},
                        MemorySegment.ofArray(TestGguf.little(states)))),
                Map.of());
        return file;
    }

    private GgufExport.Job job(Path input, Path model, Path hidden, GgufType... types) {
        return new GgufExport.Job(
                input,
                model,
                folder.resolve("out.gguf"),
                List.of(types),
                false,
                hidden,
                Map.of(),
                VocabularyChoice.NONE,
                true);
    }

    private List<GgufExport.Rounded> run(GgufExport.Job job) {
        return GgufExport.run(job, 1, Progress.NONE, told::add);
    }

    @Test
    void everythingElseStaysByteForByte() {
        Path model = model();
        List<GgufExport.Rounded> rounded = run(job(model, model, states(COLUMNS), GgufType.Q4_0));
        assertEquals(2, rounded.size());
        try (GgufFile before = GgufFile.open(model);
                GgufFile after = GgufFile.open(folder.resolve("out.gguf"))) {
            assertEquals(
                    List.copyOf(before.tensors().keySet()),
                    List.copyOf(after.tensors().keySet()));
            for (String name : List.of("blk.0.norm", "blk.1.odd")) {
                assertEquals(
                        before.tensors().get(name).type(),
                        after.tensors().get(name).type());
                assertEquals(
                        -1,
                        before.tensors()
                                .get(name)
                                .data()
                                .mismatch(after.tensors().get(name).data()));
            }
            for (String key : before.metadata().keys()) {
                assertArrayEquals(bytes(before, key), bytes(after, key), key);
            }
            assertEquals(
                    2, after.metadata().integer("general.quantization_version").orElseThrow());
            GgufTensor output = after.tensors().get("output.weight");
            assertEquals(GgufType.Q4_0, output.type());
            assertArrayEquals(new long[] {ROWS, COLUMNS}, output.shape());
            assertTrue(rounded.get(1).error() > 0.05 && rounded.get(1).error() < 0.2, rounded.toString());
            assertTrue(rounded.get(1).metricError() < 0.6 * rounded.get(1).error(), rounded.toString());
            assertTrue(Double.isNaN(rounded.get(0).metricError()));
        }
    }

    private static byte[] bytes(GgufFile file, String key) {
        return file.metadata().pair(key).toArray(ValueLayout.JAVA_BYTE);
    }

    /** From the model before it was quantised: the same types, the same bytes, less error. */
    @Test
    void keepsTheTypesOfAQuantisedModel() throws IOException {
        Path whole = model();
        run(job(whole, whole, null, GgufType.Q4_0));
        assertTrue(told.get(0).startsWith("No hidden states were given"), told.toString());
        Path quantised = Files.move(folder.resolve("out.gguf"), folder.resolve("q4.gguf"));
        Path hidden = states(COLUMNS);
        GgufExport.Rounded again = run(job(whole, quantised, hidden)).get(1);
        GgufExport.Rounded plain = run(job(whole, whole, null, GgufType.Q4_0)).get(1);
        assertEquals(GgufType.Q4_0, again.before());
        assertEquals(GgufType.Q4_0, again.type());
        assertEquals(again.bytesBefore(), again.bytes());
        assertTrue(again.metricError() < 0.7 * plain.error(), again + " and plainly " + plain);
        assertEquals(Files.size(quantised), Files.size(folder.resolve("out.gguf")));
    }

    @Test
    void choosesTheTypeThatLosesLeast() {
        Path model = model();
        assertEquals(
                GgufType.Q8_0,
                run(job(model, model, null, GgufType.Q4_0, GgufType.Q8_0, GgufType.Q4_1))
                        .get(0)
                        .type());
        run(job(model, model, null, GgufType.Q4_0));
        GgufExport.Job any = new GgufExport.Job(
                model,
                folder.resolve("out.gguf"),
                folder.resolve("any.gguf"),
                List.of(),
                true,
                null,
                Map.of(),
                VocabularyChoice.NONE,
                false);
        GgufExport.Rounded rounded = run(any).get(1);
        assertEquals(GgufType.IQ4_NL, rounded.type());
        assertEquals(rounded.bytesBefore(), rounded.bytes());
    }

    @Test
    void aSplitModelBecomesOneFile() {
        Path first = sample().with("split.no", (short) 0)
                .with("split.count", (short) 2)
                .write(folder.resolve("m-00001-of-00002.gguf"));
        new TestGguf()
                .with("split.no", (short) 1)
                .with("split.count", (short) 2)
                .floats("blk.2.last", normal(8, 7), 7)
                .write(folder.resolve("m-00002-of-00002.gguf"));
        run(job(first, first, null, GgufType.Q5_1));
        try (GgufFile after = GgufFile.open(folder.resolve("out.gguf"))) {
            assertEquals(5, after.tensors().size());
            assertFalse(after.metadata().keys().contains("split.count"));
        }
    }

    @Test
    void rowsMayComeFromOtherFormats() {
        Path tied = new TestGguf()
                .with("general.architecture", "llama")
                .floats("token_embd.weight", normal(1, ROWS * COLUMNS), COLUMNS, ROWS)
                .write(folder.resolve("model.gguf"));
        Path dense = folder.resolve("model.safetensors");
        SafetensorsWriter.write(
                dense,
                List.of(new Tensor(
                        "model.embed_tokens.weight",
                        DType.F32,
                        new long[] {ROWS, COLUMNS},
                        MemorySegment.ofArray(TestGguf.little(normal(1, ROWS * COLUMNS))))),
                Map.of());
        GgufExport.Rounded rounded =
                run(job(dense, tied, states(COLUMNS), GgufType.Q8_0)).get(0);
        assertTrue(rounded.metricError() < rounded.error(), rounded.toString());

        Path small = folder.resolve("small.safetensors");
        GroupReduce.compress(
                CompressionJob.of(tied, small)
                        .withOptions(CompressionOptions.defaults()
                                .withMethod(Method.SVD)
                                .withTarget(SizeTarget.ratio(6))),
                BackendSelection.select(Device.REFERENCE, 1).backend(),
                Progress.NONE,
                told::add);
        told.clear();
        assertTrue(run(job(small, tied, null, GgufType.Q8_0)).get(0).error() < 0.01);
        assertTrue(told.get(1).contains("is compressed, and what it lost"), told.toString());
    }

    /** Of a compressed directory any shard may be the compressed one. */
    @Test
    void rowsMayComeFromTheSecondShard() throws IOException {
        Path tied = new TestGguf()
                .with("general.architecture", "llama")
                .floats("token_embd.weight", normal(1, ROWS * COLUMNS), COLUMNS, ROWS)
                .write(folder.resolve("model.gguf"));
        Path shards = Files.createDirectory(folder.resolve("shards"));
        SafetensorsWriter.write(
                shards.resolve("model-00001-of-00002.safetensors"),
                List.of(new Tensor("norm", DType.F32, new long[] {1}, MemorySegment.ofArray(new byte[4]))),
                Map.of());
        SafetensorsWriter.write(
                shards.resolve("model-00002-of-00002.safetensors"),
                List.of(new Tensor(
                        "model.embed_tokens.weight",
                        DType.F32,
                        new long[] {ROWS, COLUMNS},
                        MemorySegment.ofArray(TestGguf.little(normal(1, ROWS * COLUMNS))))),
                Map.of());
        Path small = folder.resolve("small");
        GroupReduce.compress(
                CompressionJob.of(shards, small)
                        .withOptions(CompressionOptions.defaults()
                                .withMethod(Method.SVD)
                                .withTarget(SizeTarget.ratio(3))),
                BackendSelection.select(Device.REFERENCE, 1).backend(),
                Progress.NONE,
                told::add);
        assertTrue(run(job(small, tied, null, GgufType.Q8_0)).get(0).error() < 0.01);
    }

    @Test
    void refuses() throws IOException {
        Path model = model();
        assertRefused(job(model, model, null), "\"token_embd.weight\" is stored as F32, to which nothing is rounded");
        assertRefused(
                job(model, model, null, GgufType.Q4_K), "has rows of 64 numbers, which Q4_K cannot hold in whole");
        assertRefused(job(model, model, states(32), GgufType.Q4_0), "has 32 columns but \"output.weight\" has 64");
        Path other = new TestGguf()
                .with("general.architecture", "llama")
                .floats("token_embd.weight", normal(7, ROWS * COLUMNS), COLUMNS, ROWS)
                .write(folder.resolve("other.gguf"));
        assertRefused(job(other, model, null, GgufType.Q4_0), "does not hold the rows of \"token_embd.weight\"");
        Path shorter = new TestGguf()
                .floats("token_embd.weight", normal(7, 32 * 32), 32, 32)
                .write(folder.resolve("shorter.gguf"));
        assertRefused(job(shorter, model, null, GgufType.Q4_0), "has [32, 32]; give the model that it was converted");
        float[] damaged = normal(1, ROWS * COLUMNS);
        damaged[3 * COLUMNS + 1] = Float.NaN;
        Path nan = new TestGguf()
                .with("general.architecture", "llama")
                .floats("token_embd.weight", damaged, COLUMNS, ROWS)
                .write(folder.resolve("nan.gguf"));
        assertRefused(
                job(nan, nan, null, GgufType.Q4_0),
                "nan.gguf: tensor \"token_embd.weight\" holds NaN or infinity in row 3");
        Path bytes = new TestGguf()
                .with("general.architecture", "llama")
                .tensor("token_embd.weight", 24, new byte[ROWS * COLUMNS], COLUMNS, ROWS)
                .write(folder.resolve("bytes.gguf"));
        assertRefused(job(model, bytes, null), "is stored as I8, to which nothing is rounded");
        Path without = new TestGguf().floats("x", new float[32], 32).write(folder.resolve("bare.gguf"));
        assertRefused(job(without, without, null, GgufType.Q4_0), "has no matrix token_embd.weight");
        Path encoder = new TestGguf()
                .with("general.architecture", "bert")
                .floats("token_embd.weight", normal(1, ROWS * COLUMNS), COLUMNS, ROWS)
                .write(folder.resolve("encoder.gguf"));
        assertRefused(job(encoder, encoder, states(COLUMNS), GgufType.Q4_0), "which makes no logits; leave the hidden");
        GgufExport.Job stray = new GgufExport.Job(
                model,
                model,
                folder.resolve("out.gguf"),
                List.of(GgufType.Q4_0),
                false,
                null,
                Map.of("blk.0.norm", model),
                VocabularyChoice.NONE,
                true);
        assertRefused(stray, "A metric was given for \"blk.0.norm\", which is not rounded");
        GgufExport.Job onto = new GgufExport.Job(
                model, model, model, List.of(GgufType.Q4_0), false, null, Map.of(), VocabularyChoice.NONE, true);
        assertRefused(onto, "is the input itself");
        try (Stream<Path> left = Files.list(folder)) {
            assertEquals(
                    List.of(),
                    left.filter(file -> file.getFileName().toString().contains("out.gguf"))
                            .toList());
        }
    }

    private void assertRefused(GgufExport.Job job, String message) {
        String said = assertThrows(GroupReduceException.class, () -> run(job)).getMessage();
        assertTrue(said.contains(message), said);
    }
}
