package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.cli.Checkout.Outcome;
import io.groupreduce.format.Safetensors;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A plain softmax in NumPy that knows nothing but the file finds the perplexities that {@code eval} prints. */
class NumpyPerplexityTest {
    private static final String SOFTMAX = "softmax.weight";

    @TempDir
    private Path directory;

    @BeforeAll
    static void numpyIsThere() throws Exception {
        String reason = "python3 with NumPy is not there, so benchmarks/peers/eval_groupreduce.py was not tried";
        try {
            assumeTrue(python("-c", "import numpy").code() == 0, reason);
        } catch (IOException e) {
            assumeTrue(false, reason);
        }
    }

    private static Outcome python(Object... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of("python3", "-B"));
        for (Object argument : arguments) {
            command.add(argument.toString());
        }
        return new Checkout(Path.of("")).run(Map.of(), command.toArray(String[]::new));
    }

    private void requireSame(Path model, Path hidden, Object... options) throws Exception {
        Path file = directory.resolve("small.safetensors");
        List<Object> compress = new ArrayList<>(List.of("compress", model, "-o", file, "--tensor", SOFTMAX));
        compress.addAll(List.of(options));
        Shell.Outcome compressed = Shell.run(compress.toArray());
        assertEquals(0, compressed.code(), compressed.err());
        Shell.Outcome eval = Shell.run("eval", file, "--reference", model, "--hidden", hidden, "--json");
        double expected = eval.json().path("compressedPerplexity").asDouble();
        Path script = Checkout.source().resolve("benchmarks/peers/eval_groupreduce.py");
        Outcome found = python(script, file, SOFTMAX, hidden);
        assertEquals(0, found.code(), found.err());
        assertEquals(expected, Double.parseDouble(found.out()), 1e-5 * expected, eval.out());
    }

    /** On its first 1000 states, which are enough for the digits that are compared. */
    @Test
    void ofTheDemoModel() throws Exception {
        Path demo = Checkout.source().resolve("java/cli/src/main/resources/io/groupreduce/cli/demo");
        Path hidden = directory.resolve("first.safetensors");
        try (Safetensors all = Safetensors.open(demo.resolve("hidden.safetensors"))) {
            SafetensorsWriter.write(
                    hidden, List.of(first(1000, all.require("hidden")), first(1000, all.require("targets"))), Map.of());
        }
        requireSame(demo.resolve("model.safetensors"), hidden, "--method", "svd", "--ratio", 8);
    }

    private static Tensor first(int count, Tensor tensor) {
        long[] shape = tensor.shape();
        long bytes = tensor.bytes() / shape[0] * count;
        shape[0] = count;
        return new Tensor(tensor.name(), tensor.type(), shape, tensor.data().asSlice(0, bytes));
    }

    @Test
    void ofLogitsWithAFactorAndATrainedBias() throws Exception {
        Path model = Shell.model(directory);
        float[] softmax = Shell.matrix(2, Shell.ROWS);
        SafetensorsWriter.write(model, List.of(Shell.tensor(SOFTMAX, softmax, Shell.ROWS, Shell.COLUMNS)), Map.of());
        Files.writeString(directory.resolve("config.json"), "{\"logits_scaling\": 0.25}");
        Path hidden = directory.resolve("hidden.safetensors");
        requireSame(model, hidden, "--method", "svd", "--ratio", 2, "--hidden", hidden, "--calibrate", 1);
    }
}
