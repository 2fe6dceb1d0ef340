package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.i32;
import static io.groupreduce.format.FormatFixtures.safetensors;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.Fuzz;
import io.groupreduce.api.Metric;
import io.groupreduce.matrix.Matrix;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Directories, configurations, indexes, NumPy files, counts, hidden states and metrics as nobody would write them. */
class InputFuzzTest {
    private static final int CASES = 300;

    private static final String[] NAMES = {
        "model.safetensors",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model-00002-of-00003.safetensors",
        "model-99999999-of-00003.safetensors",
        "model.fp16.safetensors",
        "consolidated.safetensors",
        "adapter_model.safetensors",
        "optimizer.safetensors",
        "a\nb\u2028.safetensors",
        ".safetensors",
        "-1-of-1.safetensors"
    };

    private static final String[] OTHERS = {
        "config.json",
        "adapter_config.json",
        "model.safetensors.index.json",
        "consolidated.safetensors.index.json",
        "model.safetensors.index.fp16.json",
        ".safetensors.index.json",
        "pytorch_model.bin",
        "x.gguf",
        "m.npy",
        "refs/main",
        "snapshots/abc/model.safetensors",
        "models--a--b/refs/main",
        "unet/x.safetensors"
    };

    private static final String[] JSON = {
        "{\"weight_map\":{\"a\":\"model.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00002-of-00002.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"../x\",\"b\":\"\\u0000\"}}",
        "{\"tie_word_embeddings\":true,\"text_config\":{\"a\":[{}]}}",
        "{\"base_model_name_or_path\":\"a\\u001b[31m\\nb\"}",
        "{\"a\":" + "[".repeat(5000),
        "[1e999999999,NaN]",
        "abc",
        "",
        "1".repeat(5000)
    };

    @TempDir
    private Path directory;

    private int made;

    /** A new folder, so that nothing of the case before is left. */
    private Path folder() throws IOException {
        return Files.createDirectory(directory.resolve("case" + made++));
    }

    private static void remove(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted((a, b) -> b.compareTo(a)).toList()) {
                Files.delete(file);
            }
        }
    }

    private static byte[] content(Random random) {
        String name = Fuzz.one(random, "a", "b", "wte.weight", "\u001b[2J\n");
        String entry = "\"%s\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}"
                .formatted(name.replace("\u001b", "\\u001b").replace("\n", "\\n"));
        return switch (random.nextInt(12)) {
            case 0 -> new byte[0];
            case 1 -> bytes(random, random.nextInt(700));
            case 2 -> ("PK\3\4" + "\1".repeat(random.nextInt(60))).getBytes(StandardCharsets.ISO_8859_1);
            case 3 -> Fuzz.one(random, JSON).getBytes(StandardCharsets.UTF_8);
            case 4 -> {
                String magic = Fuzz.one(
                        random, "GGUF", "\u0080\2", "\u0093NUMPY\1\0", "\10\7\22", "<html", "\0\0", "\u00ff\u00fe");
                yield (magic + "\3".repeat(random.nextInt(20))).getBytes(StandardCharsets.ISO_8859_1);
            }
            default -> safetensors("{" + entry + "}", new byte[4]);
        };
    }

    private static byte[] bytes(Random random, int length) {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    /** What is opened says of every file beside it whether it was read. */
    @Test
    void directories() {
        Fuzz.run(CASES, random -> {
            Path folder = folder();
            for (int n = random.nextInt(5); n > 0; n--) {
                Files.write(folder.resolve(Fuzz.one(random, NAMES)), content(random));
            }
            for (int n = random.nextInt(3); n > 0; n--) {
                Path file = folder.resolve(Fuzz.one(random, OTHERS));
                Files.createDirectories(file.getParent());
                boolean json = file.toString().endsWith(".json");
                Files.write(
                        file,
                        json
                                ? Fuzz.one(random, JSON).getBytes(StandardCharsets.UTF_8)
                                : file.endsWith("main") ? "abc\n".getBytes(StandardCharsets.UTF_8) : content(random));
            }
            Path input = random.nextInt(4) > 0 ? folder : folder.resolve(Fuzz.one(random, NAMES));
            try (Model model = Model.open(input)) {
                String notes = String.join(" ", model.notes());
                model.notes().forEach(FormatFixtures::assertSentence);
                List<Path> read =
                        model.tensors().keySet().stream().map(model::fileOf).toList();
                if (input.equals(folder) && !notes.contains("two shards")) {
                    for (String name : FormatFixtures.names(folder)) {
                        boolean said = notes.contains(Wording.quoted(name)) || notes.contains(" and more");
                        assertTrue(
                                !name.matches("(?s).+\\.safetensors") || read.contains(folder.resolve(name)) || said,
                                name);
                    }
                }
                model.compressible().forEach(t -> t.matrix("fuzzed"));
            } finally {
                remove(folder);
            }
        });
    }

    /** A text with some of it repeated, removed, or exchanged for something else. */
    private static String mutated(Random random, String text, String... snippets) {
        StringBuilder changed = new StringBuilder(text);
        for (int n = 1 + random.nextInt(3); n > 0; n--) {
            int at = random.nextInt(changed.length() + 1);
            int to = Math.min(changed.length(), at + random.nextInt(20));
            switch (random.nextInt(4)) {
                case 0 -> changed.insert(at, Fuzz.one(random, snippets));
                case 1 -> changed.replace(at, to, Fuzz.one(random, snippets));
                case 2 -> changed.delete(at, to);
                default -> changed.insert(random.nextInt(changed.length() + 1), changed.substring(at, to));
            }
        }
        return changed.toString();
    }

    @Test
    void configurationsAndIndexes() throws IOException {
        SafetensorsWriter.write(directory.resolve("a.safetensors"), List.of(i32("a", 1)), Map.of());
        String[] snippets = {
            "1e999999999",
            "9".repeat(1500),
            "[".repeat(3000),
            "{\"a\":".repeat(500),
            "\\u0000",
            "\ud800",
            "\"",
            "NaN",
            "null",
            "\u0000",
            "\ufeff",
            "../",
            "a.safetensors",
            "\"a\":{},",
            "text_config",
            "Infinity",
            ","
        };
        Fuzz.run(CASES, random -> {
            String config = "{\"tie_word_embeddings\":true,\"vocab_size\":5,\"text_config\":{\"a\":[1.5,{}]}}";
            String index = "{\"metadata\":{\"total_size\":4},\"weight_map\":{\"a\":\"a.safetensors\"}}";
            boolean broken = random.nextBoolean();
            write(directory, "config.json", broken ? mutated(random, config, snippets) : config);
            write(directory, "model.safetensors.index.json", broken ? index : mutated(random, index, snippets));
            try (Model model = Model.open(directory)) {
                assertTrue(model.tensors().containsKey("a"));
            }
        });
    }

    @Test
    void numpyFiles() {
        String header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }      \n";
        String[] snippets = {
            "-1",
            "4294967296",
            "9".repeat(30),
            "True",
            "(",
            ")",
            ",",
            "L",
            "'<f2'",
            "'>i8'",
            "[",
            "\u0000",
            "\n",
            "{}",
            "'descr': '|O',",
            " ".repeat(70_000),
            "'shape': (),"
        };
        Fuzz.run(CASES, random -> {
            String text = random.nextBoolean() ? header : mutated(random, header, snippets);
            byte[] file = NumpyFileTest.npy(1 + random.nextInt(3), text, new byte[24]);
            for (int n = random.nextInt(3); n > 0; n--) {
                file[random.nextInt(file.length)] = (byte) random.nextInt(256);
            }
            try (Model model = Model.open(write(directory, Fuzz.one(random, "m.npy", "m.dat"), file))) {
                model.tensors().values().forEach(t -> t.matrix("fuzzed").readRow(0, new float[99], 0));
            }
        });
    }

    /** What is taken is what a plain reading finds. */
    @Test
    void counts() {
        String[] pieces = {
            "7",
            "0",
            "12",
            "\t",
            "\t",
            "\n",
            "\n",
            "\n",
            "\r\n",
            " ",
            ",",
            "the",
            "-1",
            "1.5",
            "1e9",
            "\u0000",
            "9223372036854775807",
            "99999999999999999999",
            "\"",
            "nan",
            "\u2028",
            "ä",
            "{",
            "\ufeff"
        };
        Fuzz.run(CASES, random -> {
            StringBuilder text = new StringBuilder();
            int rows = 1 + random.nextInt(4);
            for (int n = 0; n < rows; n++) {
                text.append(Fuzz.one(random, "the\t7\n", "8\n", n + "\t9\r\n", "a\tb\t0\n"));
            }
            String changed = random.nextInt(3) > 0 ? mutated(random, text.toString(), pieces) : text.toString();
            byte[] file = changed.getBytes(random.nextInt(20) == 0 ? StandardCharsets.UTF_16 : StandardCharsets.UTF_8);
            long[] counts = CountsFile.read(write(directory, "counts.tsv", file), rows);
            List<Long> expected = new ArrayList<>();
            String bare = changed.startsWith("\ufeff") ? changed.substring(1) : changed;
            for (String line : bare.split("\n")) {
                String last = line.substring(line.lastIndexOf('\t') + 1);
                expected.add(Long.valueOf(last.replaceAll("^[ \r]+|[ \r]+$", "")));
            }
            // Rows at the end that the file lacks count 0.
            expected.addAll(Collections.nCopies(Math.max(0, rows - expected.size()), 0L));
            assertArrayEquals(expected.stream().mapToLong(x -> x).toArray(), counts, changed);
        });
    }

    @Test
    void hiddenStatesAndMetrics() {
        Matrix matrix = Matrix.of("m", new float[10], 5, 2);
        Fuzz.run(CASES, random -> {
            ByteBuffer data = ByteBuffer.allocate(16 + 16).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < 4; i++) {
                boolean aside = i == 1 || i == 2;
                data.putFloat(Fuzz.one(random, 1f, 2f, aside ? 0f : 3f, 0f, -1f, 1e38f, Float.NaN, Float.MIN_VALUE));
            }
            String name = Fuzz.one(random, "hidden", "hidden", "metric", "a\\nb");
            String type = random.nextInt(4) > 0 ? "F32" : Fuzz.one(random, "I32", "F64");
            String shape = random.nextInt(4) > 0 ? "[2,2]" : Fuzz.one(random, "[4]", "[4,1]", "[1,2,2]", "[2,1]");
            String targets =
                    Fuzz.one(random, "\"I64\",\"shape\":[2]", "\"I32\",\"shape\":[4]", "\"F8_E4M3\",\"shape\":[16]");
            String header =
                    "{\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[0,16]},\"targets\":{\"dtype\":%s,\"data_offsets\":[16,32]}}"
                            .formatted(name, type, shape, targets);
            data.putLong(1).putLong(random.nextInt(4) == 0 ? 1L << 40 : 4);
            Path file = write(directory, "h.safetensors", safetensors(header, data.array()));
            if (random.nextBoolean()) {
                Metric metric = MetricFile.read(file, matrix);
                assertEquals(4, metric.moment().length);
            } else {
                try (HiddenStates states = HiddenStates.open(file)) {
                    assertTrue(states.targets() == null
                            || states.targets().length == states.hidden().rows());
                }
            }
        });
    }
}
