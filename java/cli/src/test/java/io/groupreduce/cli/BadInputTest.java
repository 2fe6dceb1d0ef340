package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Method;
import io.groupreduce.cli.Shell.Outcome;
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

/** Every wrong input: one sentence, the right exit code, no file left, no earlier file harmed. */
class BadInputTest extends RefusalCase {
    private Path bytes(String name, byte[] content) throws Exception {
        return Files.write(directory.resolve(name), content);
    }

    private Path withMatrix(float[] values, long... shape) {
        Path file = directory.resolve("bad.safetensors");
        Tensor tensor = Shell.tensor("softmax.weight", values, shape);
        SafetensorsWriter.write(file, List.of(tensor), Map.of());
        return file;
    }

    @Test
    void filesThatAreNoModels() throws Exception {
        refused(1, "does not exist", directory.resolve("missing.safetensors"));
        refused(1, "not the file itself", bytes("text.safetensors", "hello, this is no model".getBytes()));
        refused(1, "bad.safetensors", bytes("bad.safetensors", new byte[3]));
        byte[] whole = Files.readAllBytes(model);
        refused(1, "cut.safetensors", bytes("cut.safetensors", Arrays.copyOf(whole, whole.length - 100)));
        refused(1, "PyTorch pickle", bytes("model.bin", new byte[] {'P', 'K', 3, 4, 0, 0, 0, 0, 0, 0, 0, 0}));
        Files.createDirectory(directory.resolve("empty"));
        refused(1, "empty", directory.resolve("empty"));
    }

    @Test
    void namesOfOtherFormatsForTheOutput() throws Exception {
        output = directory.resolve("out.onnx");
        refused(
                2,
                "name it \"out.safetensors\", and then let 'groupreduce export --to onnx' write the other one",
                model);
        output = directory.resolve("out.npy");
        refused(2, "would be a safetensors file under the name of another format; name it \"out.safetensors\".", model);
        Path compressed = directory.resolve("done.safetensors");
        assertEquals(
                0,
                Shell.run("compress", model, "-o", compressed, "--ratio", "2").code());
        output = directory.resolve("dense.gguf");
        Outcome outcome = Shell.run("export", compressed, "--to", "dense", "-o", output);
        assertEquals(2, outcome.code(), outcome.err());
        assertFalse(Files.exists(output));
    }

    @Test
    void anOnnxFileThatIsNone() throws Exception {
        refused(1, "is no ONNX model, or a damaged one", bytes("m.onnx", new byte[] {8, 9, 0x12, 2, 1}));
        refused(1, "is a Git LFS pointer", bytes("p.onnx", "version https://git-lfs.github.com/spec/v1".getBytes()));
    }

    @Test
    void tensorsThatDoNotFit() throws Exception {
        refused(1, "\"softmax.weight\"", model, "--tensor", "nope");
        refused(1, "\"nope\"", model, "--tensor", "nope");
        refused(1, "softmax.bias", model, "--tensor", "softmax.bias");
    }

    @Test
    void aTypeThatCannotBeCompressedIsNamed() throws Exception {
        Path wide = directory.resolve("wide.safetensors");
        Tensor tensor =
                new Tensor("lm_head.weight", DType.F64, new long[] {50, 4}, MemorySegment.ofArray(new double[200]));
        SafetensorsWriter.write(wide, List.of(tensor), Map.of());
        refused(1, "\"lm_head.weight\" has type F64", wide);
    }

    @Test
    void numbersThatAreNone() throws Exception {
        float[] values = Shell.matrix(1, 50);
        values[7 * Shell.COLUMNS + 5] = Float.NaN;
        refused(1, "row 7, column 5", withMatrix(values, 50, Shell.COLUMNS), "--ratio", "2");
        values[7 * Shell.COLUMNS + 5] = 0;
        values[49 * Shell.COLUMNS] = Float.NEGATIVE_INFINITY;
        refused(1, "row 49, column 0", withMatrix(values, 50, Shell.COLUMNS), "--ratio", "2");
    }

    @Test
    void countsThatDoNotFit() throws Exception {
        List<String> lines = Files.readAllLines(counts);
        List<String> more = new ArrayList<>(lines);
        more.add("token600\t1");
        Files.write(counts, more);
        refused(1, "601 lines but the matrix has 600 rows", model, "--counts", counts);
        lines.set(41, "token41\t-3");
        Files.write(counts, lines);
        refused(1, "line 42", model, "--counts", counts);
        lines.set(41, "token41\tmany");
        Files.write(counts, lines);
        refused(1, "line 42", model, "--counts", counts);
    }

    @Test
    void sizesOutOfReach() throws Exception {
        refused(1, "ask for at least", model, "--ratio", "5000");
        refused(1, "ask for at least", model, "--size", "100");
        refused(2, "ratio", model, "--ratio", "0.5");
        refused(2, "contradict", model, "--ratio", "5", "--size", "100");
        refused(2, "--size", model, "--size", "-5");
    }

    @Test
    void theSmallestSizeNamedIsReachable() {
        for (Object[] tensors : new Object[][] {{}, {"--tensor", "softmax.weight"}}) {
            Outcome refused = sized("100", tensors);
            assertEquals(1, refused.code());
            String smallest = refused.err().replaceAll("(?s).*ask for at least (\\d+) bytes.*", "$1");
            Outcome reached = sized(smallest, tensors);
            assertEquals(0, reached.code(), reached.err());
            assertTrue(reached.json().path("bytes").asLong() <= Long.parseLong(smallest));
            Outcome below = sized(Long.toString(Long.parseLong(smallest) - 4), tensors);
            assertEquals(1, below.code(), below.out());
        }
    }

    private Outcome sized(String size, Object... more) {
        List<Object> arguments = new ArrayList<>(List.of("compress", model, "-o", output, "--size", size));
        arguments.addAll(List.of("--counts", counts, "--force", "--json"));
        arguments.addAll(Arrays.asList(more));
        return Shell.run(arguments.toArray());
    }

    @Test
    void commandLinesThatAreWrong() throws Exception {
        refused(2, "--refine", model, "--refine", "often");
        refused(2, "codec", model, "--codec", "int5");
        refused(2, "method", model, "--method", "magic");
        refused(2, "between 1 and 16", model, "--groups", "17");
        refused(2, "between 1 and 254", model, "--groups", "255", "--method", "groupreduce");
        refused(2, "alpha", model, "--alpha", "often");
        refused(2, "--packed means nothing to the method svd", model, "--packed", "--method", "svd");
        refused(2, "Packed rows", model, "--packed", "--codec", "int4");
        refused(1, "ask for at least", model, "--packed", "--ratio", "500");
        refused(2, "Alpha", model, "--alpha", "-1");
        refused(2, "calibration epochs", model, "--calibrate", "-1");
        refused(2, "device", model, "--device", "abacus");
        refused(2, "--threads", model, "--threads", "0");
        assertEquals(2, Shell.run("compress", model).code());
        assertEquals(2, Shell.run("shrink").code());
    }

    /** What a method would not heed is no option of it, and every one is heeded by some method. */
    @Test
    void optionsOfOtherMethodsAreRefused() throws Exception {
        Map<List<String>, String> heeded = Map.of(
                List.of("--groups", "3"), "groupreduce rate-distortion",
                List.of("--refine", "2"), "groupreduce rate-distortion",
                List.of("--min-rank", "2"), "groupreduce",
                List.of("--alpha", "0.5"), "weighted-svd groupreduce rate-distortion",
                List.of("--time-price", "1"), "rate-distortion",
                List.of("--packed"), "rate-distortion",
                List.of("--max-loss-increase", "1"), "rate-distortion");
        for (Map.Entry<List<String>, String> entry : heeded.entrySet()) {
            for (Method method : Method.values()) {
                List<String> arguments = new ArrayList<>(entry.getKey());
                arguments.addAll(List.of("--method", method.label()));
                if (List.of(entry.getValue().split(" ")).contains(method.label())) {
                    // Not refused for the option: the ratio is refused after it.
                    arguments.addAll(arguments.contains("--max-loss-increase") ? List.of() : List.of("--ratio", "0.5"));
                    String other = arguments.contains("--max-loss-increase") ? "hidden states" : "ratio";
                    refused(2, other, model, arguments.toArray());
                } else {
                    String sentence = entry.getKey().get(0) + " means nothing to the method " + method.label();
                    refused(2, sentence, model, arguments.toArray());
                }
            }
        }
        refused(2, "--time-price counts bytes", model, "--time-price", "1", "--unit", "parameters");
    }

    @Test
    void aDeviceThatIsNotThereFailsLoudly() throws Exception {
        refused(3, "cuda:7", model, "--device", "cuda:7");
    }

    @Test
    void noFileOfTheRunIsOverwritten() throws Exception {
        Path hidden = directory.resolve("hidden.safetensors");
        Path report = directory.resolve("report.html");
        for (Path victim : List.of(model, counts, hidden)) {
            byte[] before = Files.readAllBytes(victim);
            Outcome asOutput =
                    Shell.run("compress", model, "-o", victim, "--counts", counts, "--hidden", hidden, "--force");
            assertEquals(1, asOutput.code());
            assertTrue(asOutput.err().contains("the input itself"), asOutput.err());
            Outcome asReport = Shell.run(
                    "compress",
                    model,
                    "-o",
                    output,
                    "--counts",
                    counts,
                    "--hidden",
                    hidden,
                    "--report",
                    victim,
                    "--force");
            assertEquals(1, asReport.code());
            assertFalse(Files.exists(output), "nothing is written before everything is checked");
            assertArrayEquals(before, Files.readAllBytes(victim));
        }
        assertEquals(
                1,
                Shell.run("compress", model, "-o", report, "--report", report).code());
        assertFalse(Files.exists(report));
    }

    @Test
    void anOutputInTheInputDirectoryIsRefused() throws Exception {
        Path folder = Files.createDirectory(directory.resolve("model"));
        Files.copy(model, folder.resolve("weights.safetensors"));
        Path inside = folder.resolve("small.safetensors");
        Outcome outcome = Shell.run("compress", folder, "-o", inside);
        assertEquals(1, outcome.code());
        assertTrue(outcome.err().contains("lies in the input directory"), outcome.err());
        assertFalse(Files.exists(inside));
        assertEquals(0, Shell.run("compress", folder, "-o", output).code());
    }

    @Test
    void aCompressedFileIsNotCompressedAgain() {
        Shell.run("compress", model, "-o", output);
        Outcome outcome = Shell.run("compress", output, "-o", directory.resolve("again.safetensors"));
        assertEquals(1, outcome.code());
        assertTrue(outcome.err().contains("compressed already"), outcome.err());
    }

    @Test
    void theDemoLeavesOtherFoldersAlone() throws Exception {
        byte[] before = Files.readAllBytes(model);
        Outcome outcome = Shell.run("demo", "-o", directory);
        assertEquals(1, outcome.code());
        assertTrue(outcome.err().contains("name a new folder"), outcome.err());
        assertArrayEquals(before, Files.readAllBytes(model));
        assertFalse(Files.exists(directory.resolve("report.html")));
    }

    @Test
    void numbersBeyondSinglePrecisionAreRefused() throws Exception {
        float[] values = Shell.matrix(1, 50);
        float[] huge = values.clone();
        float[] tiny = values.clone();
        for (int i = 0; i < values.length; i++) {
            huge[i] *= 1e20f;
            tiny[i] *= 1e-25f;
        }
        refused(1, "so large", withMatrix(huge, 50, Shell.COLUMNS), "--ratio", "2");
        refused(1, "so small", withMatrix(tiny, 50, Shell.COLUMNS), "--ratio", "2");
    }

    @Test
    void anExistingOutputNeedsForce() throws Exception {
        Files.write(output, new byte[] {9});
        Outcome outcome = Shell.run("compress", model, "-o", output);
        assertEquals(1, outcome.code());
        assertTrue(outcome.err().contains("--force"), outcome.err());
        assertArrayEquals(new byte[] {9}, Files.readAllBytes(output));
    }

    @Test
    void anOutputInNoDirectoryIsRefused() {
        Outcome outcome = Shell.run("compress", model, "-o", directory.resolve("no/where.safetensors"));
        assertEquals(1, outcome.code(), outcome.err());
        assertTrue(outcome.err().contains("directory does not exist"), outcome.err());
    }

    @Test
    void aFileThatIsNotCompressedCannotBeEvaluatedOrExported() {
        Path hidden = directory.resolve("hidden.safetensors");
        Outcome evaluated = Shell.run("eval", model, "--reference", model, "--hidden", hidden);
        assertEquals(1, evaluated.code());
        assertTrue(evaluated.err().contains("no compressed matrix"), evaluated.err());
        Outcome exported = Shell.run("export", model, "--to", "dense", "-o", output);
        assertEquals(1, exported.code());
        assertFalse(Files.exists(output));
    }

    @Test
    void verboseShowsWhereItHappened() {
        Outcome outcome = Shell.run("inspect", directory.resolve("missing"), "--verbose");
        assertEquals(1, outcome.code());
        assertTrue(outcome.err().contains("\tat io.groupreduce"), outcome.err());
    }
}
