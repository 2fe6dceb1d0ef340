package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.cli.Shell.Outcome;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.format.Safetensors;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.DType;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands doing what they are for. */
class CommandsTest {
    @TempDir
    Path directory;

    private Path model;
    private Path counts;
    private Path hidden;
    private Path output;

    @BeforeEach
    void makeModel() throws Exception {
        model = Shell.model(directory);
        counts = directory.resolve("counts.txt");
        hidden = directory.resolve("hidden.safetensors");
        output = directory.resolve("out.safetensors");
    }

    private Outcome compress(Object... more) {
        Object[] arguments = new Object[6 + more.length];
        System.arraycopy(new Object[] {"compress", model, "-o", output, "--counts", counts}, 0, arguments, 0, 6);
        System.arraycopy(more, 0, arguments, 6, more.length);
        return Shell.run(arguments);
    }

    @Test
    void compressMeetsTheRatioAndSaysWhatItDid() {
        Outcome outcome = compress("--ratio", "5", "--hidden", hidden, "--json");
        assertEquals(0, outcome.code(), outcome.err());
        JsonNode document = outcome.json();
        assertTrue(document.path("ratio").asDouble() >= 5);
        assertEquals(2, document.path("tensors").size());
        JsonNode softmax = document.path("tensors").get(1);
        assertEquals("softmax.weight", softmax.path("name").asText());
        assertEquals(Shell.TOKENS, softmax.path("evaluation").path("tokens").asInt());
        assertTrue(softmax.path("evaluation").path("compressedPerplexity").asDouble() > 1);
        assertTrue(softmax.path("evaluation").path("fittedToHidden").asBoolean());
        assertEquals("rate-distortion", softmax.path("method").asText());
        assertTrue(softmax.path("metric").asBoolean());
        assertTrue(softmax.path("groups").size() > 1);
        assertTrue(softmax.path("bases").size() >= 1);
        assertTrue(softmax.path("alpha").asDouble() >= 0.25);
        assertEquals(0, softmax.path("calibration").size());
        JsonNode embedding = document.path("tensors").get(0);
        assertFalse(embedding.path("metric").asBoolean(), "hidden states meet the softmax alone");
        long parts = softmax.path("biasBytes").asLong()
                + Shell.ROWS
                + softmax.path("headerBytes").asLong();
        for (JsonNode basis : softmax.path("bases")) {
            parts += basis.path("bytes").asLong();
        }
        for (JsonNode group : softmax.path("groups")) {
            parts += group.path("leftBytes").asLong();
        }
        assertEquals(softmax.path("bytes").asLong(), parts);
    }

    @Test
    void whatIsPrintedStaysReadable() {
        String text = compress("--hidden", hidden, "--groups", "2").out();
        assertTrue(text.contains("coordinates a row"), text);
        assertTrue(text.lines().allMatch(line -> line.length() <= 180), text);
        assertTrue(text.lines().count() < 30, text);
        assertTrue(text.contains("fitted to; judge it"), text);
        String few = compress("--method", "groupreduce", "--hidden", hidden, "--force")
                .out();
        assertTrue(few.contains("group  rows"), few);
        assertFalse(few.contains("fitted to"), few);
    }

    @Test
    void calibrationLowersTheDivergenceAndIsReported() {
        Path report = directory.resolve("report.html");
        JsonNode plain = compress("--hidden", hidden, "--ratio", "12", "--json").json();
        Outcome outcome = compress(
                "--hidden", hidden, "--ratio", "12", "--calibrate", "3", "--force", "--json", "--report", report);
        assertEquals(0, outcome.code(), outcome.err());
        JsonNode softmax = outcome.json().path("tensors").get(1);
        assertEquals(4, softmax.path("calibration").size());
        assertEquals(
                0, outcome.json().path("tensors").get(0).path("calibration").size());
        assertTrue(outcome.json().path("ratio").asDouble() >= 12);
        assertTrue(plain.path("tensors").get(1).path("calibration").isEmpty());
        String text = Shell.run("inspect", output).out();
        assertTrue(text.contains("3 epochs of calibration: mean KL on held-out hidden states"), text);
    }

    @Test
    void aLossCanBeAskedForInsteadOfASize() {
        Outcome outcome = compress("--hidden", hidden, "--max-loss-increase", "2%", "--json");
        assertEquals(0, outcome.code(), outcome.err());
        assertTrue(outcome.err().contains("softmax.weight alone"), outcome.err());
        JsonNode softmax = outcome.json().path("tensors").get(1);
        assertTrue(softmax.path("ratio").asDouble() > 1.5, softmax.toString());
        JsonNode provenance = Shell.run("inspect", output, "--json").json();
        assertEquals(softmax.path("bytes"), provenance.path("compressed").get(1).path("bytes"));
        Outcome looser = compress(
                "--hidden", hidden, "--max-loss-increase", "20", "--tensor", "softmax.weight", "--force", "--json");
        assertTrue(looser.json().path("tensors").get(0).path("bytes").asLong()
                < softmax.path("bytes").asLong());
    }

    @Test
    void evalFindsWhatCompressFound() {
        for (String method : new String[] {"weighted-svd", "groupreduce", "rate-distortion"}) {
            evalFindsWhatCompressFound(method);
        }
    }

    /** The count-weighted error too, whatever weights and metric the method has. */
    private void evalFindsWhatCompressFound(String method) {
        Outcome compressed = compress("--method", method, "--alpha", "0.5", "--hidden", hidden, "--json", "--force");
        JsonNode inspected =
                Shell.run("inspect", output, "--json").json().path("compressed").get(1);
        Outcome evaluated =
                Shell.run("eval", output, "--reference", model, "--hidden", hidden, "--counts", counts, "--json");
        assertEquals(0, evaluated.code(), evaluated.err());
        JsonNode before = compressed.json().path("tensors").get(1);
        JsonNode after = evaluated.json();
        assertEquals(
                before.path("evaluation").path("meanKl").asDouble(),
                after.path("meanKl").asDouble(),
                1e-9);
        assertEquals(
                before.path("relativeError").asDouble(),
                after.path("relativeError").asDouble(),
                1e-6);
        assertEquals(
                before.path("relativeError").asDouble(),
                inspected.path("relativeError").asDouble(),
                1e-6,
                method);
        String text = Texts.format(
                "count-weighted relative error %.4f",
                after.path("relativeError").asDouble());
        assertTrue(Shell.run("inspect", output).out().contains(text), method + ": " + text);
        assertEquals(before.path("bytes").asLong(), after.path("bytes").asLong());
    }

    @Test
    void evalWritesWhatItMeasuredWithIntervals() throws Exception {
        compress();
        Path card = directory.resolve("README.md");
        Path page = directory.resolve("eval.html");
        Outcome evaluated = Shell.run(
                "eval", output, "--reference", model, "--hidden", hidden, "--json", "--card", card, "--report", page);
        assertEquals(0, evaluated.code(), evaluated.err());
        JsonNode found = evaluated.json();
        for (String figure : List.of("densePerplexity", "perplexityIncrease", "meanKl", "top1Agreement")) {
            JsonNode interval = found.path(figure + "Interval");
            double value = found.path(figure).asDouble();
            assertTrue(
                    interval.get(0).asDouble() <= value
                            && value <= interval.get(1).asDouble(),
                    figure);
        }
        String increase = Figures.signedPercent(found.path("perplexityIncrease").asDouble());
        String readme = Files.readString(card);
        String html = Files.readString(page);
        for (String written : List.of(readme, html)) {
            assertTrue(written.contains(increase) && written.contains("hidden.safetensors"), written);
            assertTrue(written.contains("embedding.weight"), "all that was compressed");
            assertFalse(written.contains("Sentence"), "only what was measured");
        }
        assertTrue(readme.contains("SoftmaxHead.open(Path.of(\"out.safetensors\")"), readme);
        assertFalse(readme.contains("fitted to hidden states") || readme.contains(directory.toString()), readme);
        compress("--hidden", hidden, "--force");
        Shell.run("eval", output, "--reference", model, "--hidden", hidden, "--card", card, "--force");
        assertTrue(Files.readString(card).contains("fitted to hidden states"), "what they may hide is said");
        Outcome over = Shell.run("eval", output, "--reference", model, "--hidden", hidden, "--card", model, "--force");
        assertEquals(1, over.code());
        assertTrue(over.err().contains("another file of this run"), over.err());
    }

    @Test
    void aPackedFileIsReadLikeAnyOther() {
        Path report = directory.resolve("report.html");
        Path dense = directory.resolve("dense.safetensors");
        Outcome outcome = compress("--ratio", "6", "--hidden", hidden, "--packed", "--json", "--report", report);
        assertEquals(0, outcome.code(), outcome.err());
        JsonNode softmax = outcome.json().path("tensors").get(1);
        assertTrue(outcome.json().path("ratio").asDouble() >= 6);
        assertTrue(softmax.path("packed").asBoolean());
        assertTrue(
                softmax.path("residentBytes").asLong() > softmax.path("bytes").asLong());
        JsonNode evaluation = Shell.run(
                        "eval",
                        output,
                        "--reference",
                        model,
                        "--hidden",
                        hidden,
                        "--tensor",
                        "softmax.weight",
                        "--json")
                .json();
        assertEquals(
                softmax.path("evaluation").path("meanKl").asDouble(),
                evaluation.path("meanKl").asDouble(),
                1e-6);
        String text = Shell.run("inspect", output).out();
        assertTrue(text.contains("; packed rows ") && text.contains(" in memory "), text);
        assertEquals(
                0, Shell.run("export", output, "--to", "dense", "-o", dense).code());
        try (Safetensors exported = Safetensors.open(dense)) {
            assertTrue(exported.tensors().containsKey("softmax.weight"));
        }
    }

    @Test
    void inspectListsGroupsAndCopiedTensors() {
        compress();
        JsonNode document = Shell.run("inspect", output, "--json").json();
        assertEquals(2, document.path("compressed").size());
        assertEquals(2, document.path("copied").size());
        String text = Shell.run("inspect", output).out();
        assertTrue(text.contains("softmax.weight [600 x 24, F32], rate-distortion"), text);
        assertTrue(Shell.run("inspect", model).out().contains("lstm.weight"));
    }

    @Test
    void aDenseExportIsAnOrdinaryModelThatCompressesAgain() {
        compress();
        Path dense = directory.resolve("dense.safetensors");
        assertEquals(
                0, Shell.run("export", output, "--to", "dense", "-o", dense).code());
        try (Safetensors plain = Safetensors.open(dense)) {
            assertEquals(4, plain.tensors().size());
            assertEquals(
                    4L * Shell.ROWS * Shell.COLUMNS,
                    plain.require("softmax.weight").bytes());
        }
        assertEquals(
                0,
                Shell.run("compress", dense, "-o", directory.resolve("again.safetensors"))
                        .code());
    }

    @Test
    void everyMethodAndCodecRuns() {
        for (String method : new String[] {"svd", "weighted-svd", "groupreduce", "rate-distortion"}) {
            for (String codec : new String[] {"auto", "f32", "bf16", "int8", "int4", "int3"}) {
                Outcome outcome = compress("--method", method, "--codec", codec, "--ratio", "8", "--force", "--json");
                assertEquals(0, outcome.code(), outcome.err());
                assertTrue(outcome.json().path("ratio").asDouble() >= 8, method + " " + codec);
            }
        }
    }

    /** Nobody has to guess what the factors are stored as. */
    @Test
    void theCodecTakenIsSaidEverywhere() throws Exception {
        Path report = directory.resolve("report.html");
        String text = compress("--method", "groupreduce", "--report", report).out();
        assertTrue(text.contains("codec int8, "), text);
        assertEquals(text.indexOf("f32"), -1, text);
        assertTrue(Shell.run("inspect", output).out().contains("codec int8, "));
        JsonNode softmax =
                Shell.run("inspect", output, "--json").json().path("compressed").get(1);
        assertEquals("int8", softmax.path("codec").asText());
        String page = Files.readString(report);
        assertTrue(page.contains("alpha 1, codec int8, "), page);
        JsonNode counted = compress("--method", "svd", "--unit", "parameters", "--force", "--json")
                .json();
        assertEquals("f32", counted.path("tensors").get(1).path("codec").asText());
        JsonNode chosen = compress("--force", "--json").json();
        assertEquals("auto", chosen.path("tensors").get(1).path("codec").asText());
    }

    @Test
    void onlyLeavesTheRestOut() {
        compress("--only", "--tensor", "softmax.weight");
        JsonNode document = Shell.run("inspect", output, "--json").json();
        assertEquals(1, document.path("compressed").size());
        assertEquals(1, document.path("copied").size());
        assertEquals("softmax.bias", document.path("copied").get(0).path("name").asText(), "it belongs to the matrix");
    }

    @Test
    void theReportIsWrittenBesideTheFile() throws Exception {
        Path report = directory.resolve("report.html");
        Outcome outcome = compress("--hidden", hidden, "--report", report, "--json");
        assertEquals(0, outcome.code(), outcome.err());
        String page = Files.readString(report);
        JsonNode query = outcome.json().path("tensors").get(1).path("query");
        assertTrue(query.path("measuredMicros").asDouble() > 0
                && query.path("predictedMicros").asDouble() > 0);
        assertTrue(query.path("predictedMicros").asDouble()
                < 100 * query.path("measuredMicros").asDouble());
        assertTrue(page.contains("One query"));
        assertFalse(outcome.json().path("tensors").get(0).has("query"), "of an embedding");
        assertTrue(page.contains("softmax.weight"));
        assertTrue(page.contains("<svg"));
        assertTrue(page.contains("<figcaption>Loss increase against size ratio</figcaption>"));
        assertTrue(page.contains("fitted to"));
        compress("--report", report, "--force");
        assertFalse(Files.readString(report).contains("Loss increase against size ratio"));
    }

    @Test
    void equalCountsAreSaid() {
        Outcome outcome = Shell.run("compress", model, "-o", output);
        assertEquals(0, outcome.code());
        assertTrue(outcome.err().contains("Neither counts nor hidden states were given, so every token counts alike"));
        Outcome fitted = Shell.run("compress", model, "-o", output, "--hidden", hidden, "--force");
        assertTrue(fitted.err().contains("No counts were given, so the " + Shell.TOKENS + " targets of"), fitted.err());
        Outcome unweighted = Shell.run("compress", model, "-o", output, "--method", "svd", "--force");
        assertFalse(unweighted.err().contains("counts alike"), unweighted.err());
    }

    @Test
    void countsCanBeGuessedAndTheGuessIsSaidAndChecked() throws Exception {
        Outcome guessed = Shell.run("compress", model, "-o", output, "--counts", "zipf", "--only");
        assertEquals(0, guessed.code());
        assertTrue(guessed.err().contains("Counts are guessed: row i counts as 1 / (i + 1)"), guessed.err());
        assertFalse(guessed.err().contains("alike"), guessed.err());
        int[] last = IntStream.range(Shell.ROWS - Shell.TOKENS, Shell.ROWS).toArray();
        SafetensorsWriter.write(
                hidden,
                List.of(
                        Shell.tensor("hidden", Shell.matrix(4, Shell.TOKENS), Shell.TOKENS, Shell.COLUMNS),
                        new Tensor("targets", DType.I32, new long[] {Shell.TOKENS}, MemorySegment.ofArray(last))),
                Map.of());
        Object[] arguments = {"compress", model, "-o", output, "--counts", "zipf", "--hidden", hidden, "--force"};
        Outcome contradicted = Shell.run(arguments);
        assertEquals(Main.WRONG_DATA, contradicted.code());
        assertTrue(contradicted
                .err()
                .contains("do not bear --counts zipf out: the 50 tokens that occur have row 575 of 600"));
    }

    @Test
    void theNumberOfThreadsChangesNoByte() throws Exception {
        for (String stored : List.of("--only", "--packed")) {
            compress(stored, "--threads", "1", "--force");
            byte[] one = Files.readAllBytes(output);
            compress(stored, "--threads", "3", "--force");
            assertArrayEquals(one, Files.readAllBytes(output), stored);
        }
    }

    @Test
    void aMetricIsTaken() throws Exception {
        Path metric = directory.resolve("metric.safetensors");
        float[] diagonal = new float[Shell.COLUMNS * Shell.COLUMNS];
        for (int j = 0; j < Shell.COLUMNS; j++) {
            diagonal[j * Shell.COLUMNS + j] = (1 + j) * (1 + j) * (1 + j);
        }
        SafetensorsWriter.write(
                metric, List.of(Shell.tensor("metric", diagonal, Shell.COLUMNS, Shell.COLUMNS)), Map.of());
        Outcome plain = compress("--json");
        Outcome aware = compress("--metric", "softmax.weight=" + metric, "--force", "--json");
        assertEquals(0, aware.code(), aware.err());
        double before =
                plain.json().path("tensors").get(1).path("relativeError").asDouble();
        double after = aware.json().path("tensors").get(1).path("relativeError").asDouble();
        assertTrue(Math.abs(before - after) > 1e-3, before + " " + after);
        assertEquals(
                plain.json().path("tensors").get(0).path("relativeError").asDouble(),
                aware.json().path("tensors").get(0).path("relativeError").asDouble());
    }

    @Test
    void benchPrintsRates() {
        Outcome outcome = Shell.run("bench", "--rows", "2000", "--columns", "32", "--repeats", "1", "--json");
        assertEquals(0, outcome.code(), outcome.err());
        JsonNode steps = outcome.json().path("compression");
        assertTrue(steps.size() >= 5);
        for (JsonNode step : steps) {
            assertTrue(step.path("rate").asDouble() > 0, step.toString());
        }
        BenchCommandTest.requireSoftmax(outcome.json(), 2000);
    }

    @Test
    void theDemoDoesTheMainJob() {
        Path folder = directory.resolve("demo");
        Outcome outcome = Shell.run("demo", "-o", folder, "--json");
        assertEquals(0, outcome.code(), outcome.err());
        JsonNode rows = outcome.json().path("comparison");
        assertEquals(9, rows.size());
        double dense = rows.get(0).path("compressedPerplexity").asDouble();
        // At both sizes each method is better than the one before, and nothing beats the dense model by much.
        for (int r = 1; r < 7; r += 3) {
            double svd = rows.get(r).path("compressedPerplexity").asDouble();
            double grouped = rows.get(r + 1).path("compressedPerplexity").asDouble();
            double chosen = rows.get(r + 2).path("compressedPerplexity").asDouble();
            assertTrue(grouped < svd && chosen < grouped, rows.toString());
            assertTrue(chosen > 0.98 * dense, rows.toString());
        }
        double kl = rows.get(6).path("meanKl").asDouble();
        assertTrue(rows.get(7).path("meanKl").asDouble() < 1.05 * kl, rows.toString());
        assertTrue(rows.get(8).path("meanKl").asDouble() < 0.8 * kl, rows.toString());
        assertTrue(Files.exists(folder.resolve("report.html")));
        assertTrue(Files.exists(folder.resolve("model.groupreduce.safetensors")));
    }
}
