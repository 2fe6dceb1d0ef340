package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.cli.Shell.Outcome;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code devices} lists and what {@code --device} does, on machines with a GPU and without. */
class DeviceChoiceTest {
    @TempDir
    Path directory;

    @Test
    void everyDeviceIsListedWithItsFields() {
        Outcome outcome = Shell.run("devices", "--json");
        assertEquals(0, outcome.code());
        assertEquals("", outcome.err());
        JsonNode devices = outcome.json();
        assertTrue(devices.isArray());
        List<String> names = new ArrayList<>();
        for (JsonNode device : devices) {
            List<String> fields = new ArrayList<>();
            device.fieldNames().forEachRemaining(fields::add);
            assertEquals(List.of("device", "available", "reason", "memoryBytes", "libraries"), fields);
            assertTrue(device.get("available").isBoolean());
            assertFalse(device.get("reason").asText().isBlank());
            assertTrue(device.get("memoryBytes").isIntegralNumber());
            assertTrue(device.get("libraries").isArray());
            names.add(device.get("device").asText());
        }
        assertTrue(names.get(0).equals("cuda") || names.get(0).equals("cuda:0"), names.toString());
        assertTrue(names.containsAll(List.of("cpu (vector)", "reference")), names.toString());
    }

    @Test
    void theTableSaysWhyAGpuIsNotThere() {
        assumeTrue(gpu() == null, "a machine without a GPU");
        String out = Shell.run("devices").out();
        assertTrue(
                out.lines()
                        .anyMatch(
                                line -> line.matches("cuda +no +no NVIDIA driver was found \\(libcuda\\.so\\.1\\).*")),
                out);
    }

    @Test
    void aGpuAskedForByNameThatIsNotThereIsOneSentence() throws Exception {
        assumeTrue(gpu() == null, "a machine without a GPU");
        Path model = Shell.model(directory);
        for (String device : List.of("cuda", "cuda:0", "cuda:7")) {
            Path output = directory.resolve("out.safetensors");
            Outcome outcome = Shell.run("compress", model, "-o", output, "--tensor", "lstm.weight", "--device", device);
            assertEquals(3, outcome.code());
            assertEquals("", outcome.out());
            assertEquals(
                    "groupreduce: The device " + device + " cannot be used here (cuda: no NVIDIA driver was found"
                            + " (libcuda.so.1)); 'groupreduce devices' lists what can.\n",
                    outcome.err().replace(System.lineSeparator(), "\n"));
            assertFalse(Files.exists(output));
        }
    }

    @Test
    void autoSaysWhyTheCpuWasTakenAndCpuSaysNothing() throws Exception {
        assumeTrue(gpu() == null, "a machine without a GPU");
        Path model = Shell.model(directory);
        Path counts = directory.resolve("counts.txt");
        Path output = directory.resolve("out.safetensors");
        Outcome auto = Shell.run("compress", model, "-o", output, "--counts", counts, "--json");
        assertEquals(0, auto.code(), auto.err());
        assertTrue(auto.json().isObject());
        assertEquals(
                List.of("groupreduce: Running on the CPU (cuda: no NVIDIA driver was found (libcuda.so.1))."),
                auto.err().lines().filter(l -> l.contains("Running")).toList());
        Outcome cpu =
                Shell.run("compress", model, "-o", output, "--counts", counts, "--json", "--force", "--device", "cpu");
        assertEquals(0, cpu.code(), cpu.err());
        assertFalse(cpu.err().contains("Running"), cpu.err());
    }

    @Test
    void autoTakesTheGpuWhereThereIsOne() throws Exception {
        String gpu = gpu();
        assumeTrue(gpu != null, "a machine with a GPU");
        Path model = Shell.model(directory);
        Outcome outcome = Shell.run(
                "compress", model, "-o", directory.resolve("out"), "--counts", directory.resolve("counts.txt"));
        assertEquals(0, outcome.code(), outcome.err());
        assertFalse(outcome.err().contains("Running"), outcome.err());
    }

    /** The first card that can be used here; null when there is none. */
    private static String gpu() {
        for (JsonNode device : Shell.run("devices", "--json").json()) {
            String name = device.get("device").asText();
            if (name.startsWith("cuda") && device.get("available").asBoolean()) {
                return name;
            }
        }
        return null;
    }
}
