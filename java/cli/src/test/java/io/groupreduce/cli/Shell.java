package io.groupreduce.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.DType;
import io.groupreduce.testkit.Generators;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Runs commands in this process, and makes small models for them. */
final class Shell {
    static final int ROWS = 600;
    static final int COLUMNS = 24;
    static final int TOKENS = 50;

    /** What a command did. */
    record Outcome(int code, String out, String err) {
        JsonNode json() {
            try {
                return new ObjectMapper().readTree(out);
            } catch (IOException e) {
                throw new AssertionError("not JSON: " + out, e);
            }
        }
    }

    private Shell() {}

    static Outcome run(Object... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        String[] texts = new String[arguments.length];
        for (int i = 0; i < texts.length; i++) {
            texts[i] = String.valueOf(arguments[i]);
        }
        int code = Main.run(new PrintWriter(out), new PrintWriter(err), texts);
        return new Outcome(code, out.toString(), err.toString());
    }

    /** model.safetensors, counts.txt and hidden.safetensors in {@code directory}; returns the model. */
    static Path model(Path directory) throws Exception {
        float[] embedding = matrix(1, ROWS);
        float[] softmax = matrix(2, ROWS);
        Path model = directory.resolve("model.safetensors");
        SafetensorsWriter.write(
                model,
                List.of(
                        tensor("embedding.weight", embedding, ROWS, COLUMNS),
                        tensor("softmax.weight", softmax, ROWS, COLUMNS),
                        tensor("softmax.bias", new float[ROWS], ROWS),
                        tensor("lstm.weight", new float[] {1, 2, 3, 4}, 2, 2)),
                Map.of());
        List<String> lines = new ArrayList<>();
        long[] counts = Generators.zipf(3, ROWS, 60_000);
        for (int i = 0; i < ROWS; i++) {
            lines.add("token" + i + "\t" + counts[i]);
        }
        Files.write(directory.resolve("counts.txt"), lines);
        float[] states = matrix(4, TOKENS);
        int[] targets = new int[TOKENS];
        for (int t = 0; t < TOKENS; t++) {
            targets[t] = likeliest(softmax, states, t);
        }
        SafetensorsWriter.write(
                directory.resolve("hidden.safetensors"),
                List.of(
                        tensor("hidden", states, TOKENS, COLUMNS),
                        new Tensor("targets", DType.I32, new long[] {TOKENS}, MemorySegment.ofArray(targets))),
                Map.of());
        return model;
    }

    /** The token with the largest logit at a hidden state: what a compression that loses much would miss. */
    private static int likeliest(float[] softmax, float[] states, int state) {
        int best = 0;
        double largest = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < ROWS; i++) {
            double logit = 0;
            for (int j = 0; j < COLUMNS; j++) {
                logit += (double) softmax[i * COLUMNS + j] * states[state * COLUMNS + j];
            }
            if (logit > largest) {
                largest = logit;
                best = i;
            }
        }
        return best;
    }

    static float[] matrix(long seed, int rows) {
        return Generators.powerLaw(seed, rows, COLUMNS, 0.6);
    }

    static Tensor tensor(String name, float[] values, long... shape) {
        return new Tensor(name, DType.F32, shape, MemorySegment.ofArray(values));
    }
}
