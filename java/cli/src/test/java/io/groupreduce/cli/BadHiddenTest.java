package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
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
import java.util.function.IntBinaryOperator;
import org.junit.jupiter.api.Test;

/** Wrong hidden states, metrics and losses. */
class BadHiddenTest extends RefusalCase {
    @Test
    void hiddenStatesThatDoNotFit() throws Exception {
        Path hidden = directory.resolve("narrow.safetensors");
        SafetensorsWriter.write(hidden, List.of(Shell.tensor("hidden", new float[50], 10, 5)), Map.of());
        Shell.run("compress", model, "-o", output);
        Outcome outcome = Shell.run("eval", output, "--reference", model, "--hidden", hidden);
        assertEquals(1, outcome.code());
        assertTrue(outcome.err().contains("width 5"), outcome.err());
        refused(1, "width 5", model, "--hidden", hidden);
    }

    private Path hidden(String name, float[] states, int width, int[] targets) {
        Path file = directory.resolve(name);
        int tokens = states.length / width;
        List<Tensor> tensors = new ArrayList<>(List.of(Shell.tensor("hidden", states, tokens, width)));
        if (targets != null) {
            tensors.add(new Tensor("targets", DType.I32, new long[] {targets.length}, MemorySegment.ofArray(targets)));
        }
        SafetensorsWriter.write(file, tensors, Map.of());
        return file;
    }

    @Test
    void hiddenStatesThatAreNoNumbersAndTargetsThatAreNoTokens() throws Exception {
        float[] states = Shell.matrix(7, 40);
        int[] targets = new int[40];
        targets[17] = Shell.ROWS;
        refused(1, "target 600 at index 17", model, "--hidden", hidden("target", states, Shell.COLUMNS, targets));
        targets[17] = -1;
        refused(1, "target -1 at index 17", model, "--hidden", hidden("below", states, Shell.COLUMNS, targets));
        targets[17] = 0;
        refused(1, "39 targets", model, "--hidden", hidden("few", states, Shell.COLUMNS, Arrays.copyOf(targets, 39)));
        states[5 * Shell.COLUMNS + 3] = Float.NaN;
        refused(1, "row 5, column 3", model, "--hidden", hidden("nan", states, Shell.COLUMNS, targets));
        refused(
                1,
                "zero everywhere",
                model,
                "--hidden",
                hidden("zero", new float[40 * Shell.COLUMNS], Shell.COLUMNS, targets));
        refused(1, "\"hidden\"", model, "--hidden", counts.resolveSibling("model.safetensors"));
    }

    @Test
    void hiddenStatesWithoutAnOutputMatrixAreRefused() throws Exception {
        refused(
                1,
                "but none is among \"embedding.weight\"",
                model,
                "--tensor",
                "embedding.weight",
                "--hidden",
                directory.resolve("hidden.safetensors"));
    }

    @Test
    void fewHiddenStatesWorkAndAreMentioned() {
        Path few = hidden("few.safetensors", Shell.matrix(7, Shell.COLUMNS - 1), Shell.COLUMNS, null);
        Outcome outcome = Shell.run("compress", model, "-o", output, "--counts", counts, "--hidden", few);
        assertEquals(0, outcome.code(), outcome.err());
        assertTrue(outcome.err().contains("fewer hidden states (23) than the 24 columns"), outcome.err());
        assertTrue(Files.exists(output));
        Outcome one = Shell.run(
                "compress",
                model,
                "-o",
                output,
                "--force",
                "--hidden",
                hidden("one.safetensors", Shell.matrix(7, 1), Shell.COLUMNS, new int[1]));
        assertEquals(0, one.code(), one.err());
    }

    private Path metric(String name, int side, IntBinaryOperator element) {
        float[] values = new float[side * side];
        for (int i = 0; i < side; i++) {
            for (int j = 0; j < side; j++) {
                values[i * side + j] = element.applyAsInt(i, j);
            }
        }
        Path file = directory.resolve(name);
        SafetensorsWriter.write(file, List.of(Shell.tensor("metric", values, side, side)), Map.of());
        return file;
    }

    @Test
    void metricsThatAreNone() throws Exception {
        String of = "softmax.weight=";
        refused(1, "zero everywhere", model, "--metric", of + metric("zero", Shell.COLUMNS, (i, j) -> 0));
        refused(1, "not symmetric", model, "--metric", of + metric("skew", Shell.COLUMNS, (i, j) -> i >= j ? 1 : 0));
        refused(
                1,
                "not positive semidefinite",
                model,
                "--metric",
                of + metric("negative", Shell.COLUMNS, (i, j) -> i == j ? -1 : 0));
        refused(1, "[7, 7]", model, "--metric", of + metric("narrow", 7, (i, j) -> i == j ? 1 : 0));
        refused(1, "not compressed", model, "--metric", "nope=" + metric("fine", Shell.COLUMNS, (i, j) -> 1));
    }

    /** One direction is met and no other: the ridge makes that a metric. */
    @Test
    void aSingularMetricWorks() {
        Path singular = metric("singular", Shell.COLUMNS, (i, j) -> 1);
        Outcome outcome = Shell.run(
                "compress",
                model,
                "-o",
                output,
                "--counts",
                counts,
                "--metric",
                "softmax.weight=" + singular,
                "--json");
        assertEquals(0, outcome.code(), outcome.err());
        JsonNode softmax = outcome.json().path("tensors").get(1);
        double error = Math.sqrt(
                softmax.path("loss").asDouble() / softmax.path("energy").asDouble());
        assertTrue(error > 0 && error < 0.1, "one direction holds nearly all that counts: " + error);
    }

    @Test
    void calibrationNeedsHiddenStates() throws Exception {
        refused(2, "Calibration needs hidden states", model, "--calibrate", "2");
        Path one = hidden("one", Shell.matrix(7, 1), Shell.COLUMNS, new int[1]);
        Path other = directory.resolve("other.safetensors");
        Outcome outcome = Shell.run("compress", model, "-o", other, "--calibrate", "2", "--hidden", one);
        assertEquals(1, outcome.code(), outcome.err());
        assertTrue(outcome.err().contains("give at least 2"), outcome.err());
        assertFalse(Files.exists(other));
    }

    @Test
    void lossesThatCannotBeAimedAt() throws Exception {
        Path states = directory.resolve("hidden.safetensors");
        refused(2, "needs hidden states with targets", model, "--max-loss-increase", "1%");
        refused(
                2,
                "needs hidden states with targets",
                model,
                "--max-loss-increase",
                "1",
                "--hidden",
                hidden("bare", Shell.matrix(7, 40), Shell.COLUMNS, null));
        String[] aimed = {"--max-loss-increase", "1%", "--hidden", states.toString()};
        refused(2, "--ratio contradict", model, with(aimed, "--ratio", "5"));
        refused(2, "--size contradict", model, with(aimed, "--size", "5000"));
        refused(2, "--unit", model, with(aimed, "--unit", "bytes"));
        refused(
                2,
                "--max-loss-increase means nothing to the method groupreduce",
                model,
                with(aimed, "--method", "groupreduce"));
        refused(2, "no percentage", model, "--max-loss-increase", "little", "--hidden", states);
        refused(2, "above 0", model, "--max-loss-increase", "0", "--hidden", states);
        refused(2, "above 0", model, "--max-loss-increase", "NaN", "--hidden", states);
    }

    private static Object[] with(String[] some, String... more) {
        List<Object> all = new ArrayList<>(List.of((Object[]) some));
        all.addAll(List.of(more));
        return all.toArray();
    }
}
