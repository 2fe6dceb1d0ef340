package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cli.Shell.Outcome;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.DType;
import io.groupreduce.testkit.Generators;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Command lines of words that belong there and words that do not: an exit code, one sentence if it is not 0, and files as they were
 * but for a whole output. Runs as {@code io.groupreduce.Fuzz} of core says.
 */
class CommandLineFuzzTest {
    private static final int TIMES = Integer.getInteger("groupreduce.fuzz", 1);
    private static final int LINES = 40 * TIMES;
    private static final long SEED = 20261130;
    private static final int ROWS = 40;
    private static final int COLUMNS = 6;

    /** Options and what may follow them; {@code @} stands for a file of the folder. */
    private static final List<String> OPTIONS = List.of(
            "--ratio 2 3 1e9 0 -1 NaN Infinity x",
            "--size 900 1 0 -5 99999999999999999999 1e3",
            "--max-loss-increase 1 50% -1 NaN 1e400 %",
            "--tensor embedding.weight softmax.weight bias none \u001b[2J\nx",
            "--counts @",
            "--hidden @",
            "--metric softmax.weight=@ =@ none=@ x",
            "--method svd weighted-svd groupreduce rate-distortion RATE_DISTORTION magic",
            "--codec auto f32 bf16 int8 int4 int9",
            "--groups 1 2 5 0 -1 255 x",
            "--alpha 0 0.5 1 -1 NaN auto 1e300",
            "--min-rank 1 2 0 -1 99 x",
            "--refine 0 1 3 -1 99999999999",
            "--calibrate 1 0 -1 x",
            "--time-price 0 0.1 -1 NaN x",
            "--device reference cpu cuda:9 abacus",
            "--threads 1 2 0 -1 5000 x",
            "--unit bytes parameters x",
            "--report @",
            "--reference @",
            "--to dense onnx x",
            "--packed",
            "--only",
            "--force",
            "--json",
            "--none",
            "--");

    private static final List<String> FILES = List.of(
            "model.safetensors",
            "odd.safetensors",
            "hidden.safetensors",
            "counts.txt",
            "out.safetensors",
            "missing",
            ".",
            "empty",
            "no/where");

    @TempDir
    Path directory;

    @BeforeEach
    void makeFiles() throws IOException {
        float[] embedding = Generators.powerLaw(1, ROWS, COLUMNS, 0.6);
        float[] softmax = Generators.powerLaw(2, ROWS, COLUMNS, 0.6);
        SafetensorsWriter.write(
                directory.resolve("model.safetensors"),
                List.of(
                        Shell.tensor("embedding.weight", embedding, ROWS, COLUMNS),
                        Shell.tensor("softmax.weight", softmax, ROWS, COLUMNS)),
                Map.of());
        SafetensorsWriter.write(
                directory.resolve("hidden.safetensors"),
                List.of(
                        Shell.tensor("hidden", Generators.powerLaw(3, 20, COLUMNS, 0.6), 20, COLUMNS),
                        new Tensor("targets", DType.I32, new long[] {20}, MemorySegment.ofArray(new int[20]))),
                Map.of());
        Files.write(directory.resolve("counts.txt"), Collections.nCopies(ROWS, "3"));
        Files.createFile(directory.resolve("empty"));
    }

    /** A model of matrices of any size, type and numbers. */
    private void writeOdd(Random random) {
        Map<String, Tensor> tensors = new TreeMap<>();
        for (int n = random.nextInt(4); n > 0; n--) {
            String name = one(random, List.of("lm_head.weight", "wte.weight", "lm_head.bias", "softmax.weight", "x"));
            DType type = random.nextInt(3) > 0 ? DType.F32 : one(random, List.of(DType.values()));
            long rows = one(random, List.of(1, 2, 5, 8, 40, 300));
            long columns = one(random, List.of(1, 2, 6, 6, 64, 512));
            long[] shape = random.nextInt(8) > 0
                    ? new long[] {rows, columns}
                    : one(
                            random,
                            List.of(
                                    new long[] {rows},
                                    new long[] {1, rows, columns},
                                    new long[] {0, columns},
                                    new long[0]));
            long elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
            ByteBuffer data =
                    ByteBuffer.allocate((int) (elements * type.bits() / 8)).order(ByteOrder.LITTLE_ENDIAN);
            float scale = one(random, List.of(1f, 1f, 1f, 0f, 1e-30f, 1e15f, 1e30f));
            while (type == DType.F32 && data.hasRemaining()) {
                data.putFloat(random.nextInt(20_000) == 0 ? Float.NaN : scale * (float) random.nextGaussian());
            }
            if (elements * type.bits() % 8 == 0) {
                tensors.put(name, new Tensor(name, type, shape, MemorySegment.ofArray(data.array())));
            }
        }
        SafetensorsWriter.write(directory.resolve("odd.safetensors"), List.copyOf(tensors.values()), Map.of());
    }

    private Map<String, String> files() throws IOException {
        Map<String, String> found = new TreeMap<>();
        try (Stream<Path> entries = Files.walk(directory)) {
            for (Path file : entries.filter(Files::isRegularFile).toList()) {
                found.put(directory.relativize(file).toString(), Arrays.toString(Files.readAllBytes(file)));
            }
        }
        return found;
    }

    private static <T> T one(Random random, List<T> values) {
        return values.get(random.nextInt(values.size()));
    }

    private String file(Random random) {
        return file(one(random, FILES));
    }

    private String file(String name) {
        return directory.resolve(name).toString();
    }

    private List<String> line(Random random) {
        List<String> line = new ArrayList<>();
        String command = one(
                random,
                List.of("compress", "compress", "compress", "eval", "inspect", "export", "devices", "shrink", ""));
        line.add(command);
        String input = one(random, List.of("model.safetensors", "odd.safetensors", ""));
        line.add(input.isEmpty() ? file(random) : directory.resolve(input).toString());
        if (!command.equals("inspect") && random.nextInt(10) > 0) {
            line.add("-o");
            line.add(directory
                    .resolve(random.nextInt(4) > 0 ? "out.safetensors" : one(random, FILES))
                    .toString());
        }
        for (int n = random.nextInt(5); n > 0; n--) {
            String[] option = one(random, OPTIONS).split(" ");
            line.add(option[0]);
            if (option.length > 1 && random.nextInt(15) > 0) {
                line.add(option[1 + random.nextInt(option.length - 1)].replace("@", file(random)));
            }
        }
        if (random.nextInt(10) == 0) {
            Collections.shuffle(line, random);
        }
        return line;
    }

    @Test
    void everyLineEndsInOrder() throws IOException {
        long seed = Long.getLong("groupreduce.fuzz.seed", TIMES == 1 ? SEED : new Random().nextLong());
        int done = 0;
        for (int n = 0; n < LINES; n++) {
            Random random = new Random(seed + n);
            writeOdd(random);
            // The first one runs for certain.
            List<String> line = n == 0 ? List.of("inspect", file("model.safetensors")) : line(random);
            String what = "seed " + (seed + n) + ": " + line;
            Map<String, String> before = files();
            Outcome outcome = Shell.run(line.toArray());
            require(outcome, before, what);
            done += outcome.code() == 0 ? 1 : 0;
            Files.deleteIfExists(directory.resolve("out.safetensors"));
        }
        assertTrue(done > 0 && done < LINES, done + " of " + LINES + " ran");
    }

    private void require(Outcome outcome, Map<String, String> before, String line) throws IOException {
        String what = line + "\n" + outcome.err();
        assertTrue(outcome.code() >= 0 && outcome.code() <= 2 || outcome.err().contains("cuda"), what);
        assertFalse(outcome.err().contains("internal error") || outcome.err().contains("machine failed"), what);
        for (String sentence : outcome.err().split("\n")) {
            assertTrue(sentence.isEmpty() || sentence.startsWith("groupreduce: "), what);
            assertFalse(sentence.chars().anyMatch(Character::isISOControl), what);
        }
        Map<String, String> after = files();
        if (outcome.code() != 0) {
            assertTrue(outcome.err().stripTrailing().endsWith("."), what);
            assertEquals("", outcome.out(), what);
            assertEquals(before, after, what);
        }
        for (String unchanged : List.of("model.safetensors", "odd.safetensors", "hidden.safetensors", "counts.txt")) {
            assertEquals(before.get(unchanged), after.get(unchanged), what);
        }
        after.keySet().removeAll(before.keySet());
        for (String written : after.keySet()) {
            assertTrue(List.of("out.safetensors", "missing").contains(written), what + written);
            if (line.contains("[compress") && !line.contains("--report")) {
                CompressedFile.open(directory.resolve(written)).close();
            }
        }
    }
}
