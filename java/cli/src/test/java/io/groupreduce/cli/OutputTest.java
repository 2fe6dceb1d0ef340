package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cli.Shell.Outcome;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.DType;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What is wrong with an output is said before the work, and no file that a run reads is ever its output. */
class OutputTest extends RefusalCase {
    private static void refused(String part, Object... arguments) {
        Outcome outcome = Shell.run(arguments);
        assertEquals(1, outcome.code(), outcome.err());
        assertTrue(outcome.err().contains(part), outcome.err());
    }

    @Test
    void theSourceSurvivesEveryNameForIt() throws Exception {
        Path folder = Files.createDirectory(directory.resolve("real"));
        Path source = Files.move(model, folder.resolve("model.safetensors"));
        Path config = Files.writeString(folder.resolve("config.json"), "{}");
        Path link = Files.createSymbolicLink(directory.resolve("link"), folder);
        Path hidden = directory.resolve("hidden.safetensors");
        byte[] before = Files.readAllBytes(source);
        List<Path> named = List.of(source, link.resolve("model.safetensors"), link.resolve("config.json"), config);
        for (Path input : List.of(folder, link.resolve("model.safetensors"))) {
            for (Path victim : named) {
                refused("of this run", "compress", input, "-o", victim, "--force");
                refused("of this run", "compress", input, "-o", output, "--report", victim, "--force");
            }
        }
        for (Path input : List.of(folder, link)) {
            refused("lies in the input directory", "compress", input, "-o", link.resolve("new.safetensors"));
            refused("lies in the input directory", "compress", input, "-o", folder.resolve("new.safetensors"));
        }
        Path twin = Files.createSymbolicLink(directory.resolve("twin"), counts);
        refused("of this run", "compress", source, "-o", twin, "--counts", counts, "--force");
        refused("of this run", "compress", source, "-o", counts, "--counts", twin, "--force");
        Path states = Files.createSymbolicLink(directory.resolve("states"), hidden);
        refused("of this run", "compress", source, "-o", states, "--hidden", hidden, "--force");
        assertArrayEquals(before, Files.readAllBytes(source));
        assertEquals("{}", Files.readString(config));
        assertFalse(Files.exists(output));
    }

    @Test
    void aCompressedFileSurvivesItsExport() throws Exception {
        assertEquals(
                0, Shell.run("compress", model, "-o", output, "--method", "svd").code());
        byte[] before = Files.readAllBytes(output);
        Path link = Files.createSymbolicLink(directory.resolve("link"), output);
        refused("of this run", "export", output, "--to", "dense", "-o", link, "--force");
        refused("of this run", "export", link, "--to", "dense", "-o", output, "--force");
        assertArrayEquals(before, Files.readAllBytes(output));
    }

    @Test
    void aLinkOfTheDemoLeadsToNoneOfItsFiles() throws Exception {
        Path folder = Files.createDirectory(directory.resolve("demo"));
        for (String name : List.of("model.safetensors", "counts.tsv", "hidden.safetensors")) {
            try (var in = DemoCommand.class.getResourceAsStream("demo/" + name)) {
                Files.copy(in, folder.resolve(name));
            }
        }
        byte[] before = Files.readAllBytes(folder.resolve("model.safetensors"));
        for (String result : List.of("report.html", "hidden.fit.safetensors")) {
            Path link = Files.createSymbolicLink(folder.resolve(result), Path.of("model.safetensors"));
            refused("of this run", "demo", "-o", folder);
            Files.delete(link);
        }
        assertArrayEquals(before, Files.readAllBytes(folder.resolve("model.safetensors")));
    }

    /** A matrix that is refused when its turn comes shows that the output is refused before. */
    private Path doomed(Tensor... others) {
        float[] values = Shell.matrix(1, 50);
        values[5] = Float.NaN;
        List<Tensor> tensors = new ArrayList<>(List.of(others));
        tensors.add(0, Shell.tensor("lm_head.weight", values, 50, Shell.COLUMNS));
        Path file = directory.resolve("doomed.safetensors");
        SafetensorsWriter.write(file, tensors, Map.of());
        return file;
    }

    @Test
    void outputsThatCannotBeWrittenAreRefusedBeforeTheWork() throws Exception {
        Path file = doomed();
        refused("column 5", "compress", file, "-o", output, "--ratio", "2");
        refused("too long", "compress", file, "-o", directory.resolve("n".repeat(260)));
        refused("is a directory", "compress", file, "-o", directory, "--force");
        refused("not a regular file", "compress", file, "-o", "/dev/null", "--force");
        refused("directory does not exist", "compress", file, "-o", output, "--report", directory.resolve("no/r.html"));
        Tensor clash = new Tensor("lm_head.weight.codes", DType.U8, new long[] {3}, MemorySegment.ofArray(new byte[3]));
        refused("parts have such names", "compress", doomed(clash), "-o", output, "--ratio", "2");
        try (OutputFile other = OutputFile.claim(output, List.of(), true)) {
            refused("written by another run", "compress", file, "-o", other.path());
        }
    }

    @Test
    void aDiskWithoutRoomForWhatIsCopiedIsFoundBeforeTheWork() throws Exception {
        long bytes = Files.getFileStore(directory).getUsableSpace() + 1_000_000_000L;
        Path file = directory.resolve("wide.safetensors");
        int matrix = 50 * Shell.COLUMNS * Float.BYTES;
        String header = "{\"lm_head.weight\":{\"dtype\":\"F32\",\"shape\":[50," + Shell.COLUMNS
                + "],\"data_offsets\":[0," + matrix + "]},\"rest\":{\"dtype\":\"U8\",\"shape\":[" + bytes
                + "],\"data_offsets\":[" + matrix + "," + (matrix + bytes) + "]}}";
        try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
            sparse.write(new byte[] {(byte) header.length()});
            sparse.seek(Long.BYTES);
            sparse.write(header.getBytes(StandardCharsets.UTF_8));
            sparse.setLength(Long.BYTES + header.length() + matrix + bytes);
        }
        refused("free some space", "compress", file, "-o", output, "--ratio", "2");
    }

    @Test
    void permissionsAndLinksOfAnEarlierOutputStay() throws Exception {
        Files.writeString(output, "earlier");
        Files.setPosixFilePermissions(output, PosixFilePermissions.fromString("rw-------"));
        Path link = Files.createSymbolicLink(directory.resolve("link"), output);
        Path report = Files.writeString(directory.resolve("report.html"), "earlier");
        Files.setPosixFilePermissions(report, PosixFilePermissions.fromString("rw-r-----"));
        List<Object> quick = List.of("compress", model, "--tensor", "embedding.weight", "--method", "svd", "--force");
        List<Object> arguments = new ArrayList<>(quick);
        arguments.addAll(List.of("-o", link, "--report", report));
        assertEquals(0, Shell.run(arguments.toArray()).code());
        assertTrue(Files.isSymbolicLink(link));
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(output)));
        assertEquals("rw-r-----", PosixFilePermissions.toString(Files.getPosixFilePermissions(report)));
        assertEquals(0, Shell.run("inspect", output).code());
        Path dense = Files.writeString(directory.resolve("dense"), "earlier");
        Files.setPosixFilePermissions(dense, PosixFilePermissions.fromString("rw-------"));
        Outcome exported = Shell.run("export", link, "--to", "dense", "-o", dense, "--force", "--json");
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(dense)));
        List<String> keys = new ArrayList<>();
        exported.json().fieldNames().forEachRemaining(keys::add);
        assertEquals(List.of("input", "output", "bytes"), keys);
    }
}
