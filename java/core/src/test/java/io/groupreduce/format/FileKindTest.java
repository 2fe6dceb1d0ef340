package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Files that are no safetensors files, whatever they are called. */
class FileKindTest {
    private static final String PICKLE =
            "is a PyTorch pickle; convert it in Python: import torch; from safetensors.torch import";

    @TempDir
    private Path directory;

    private static String zip(String entry) {
        return "PK\3\4" + "\0".repeat(22) + (char) entry.length() + "\0\0\0" + entry + "\u0080\2}q\0.";
    }

    static Stream<Arguments> kinds() {
        return Stream.of(
                Arguments.of("m.safetensors", "\u0080\2\u008a\nl\u00fc\u009cF\u00f9 j", PICKLE),
                Arguments.of("m.bin", "\u0080\4\u0095", PICKLE),
                Arguments.of("m.safetensors", zip("archive/data.pkl"), PICKLE),
                Arguments.of("m.pt", zip("data"), PICKLE),
                Arguments.of("w.npz", zip("embed.npy"), "is a NumPy .npz archive; save the one matrix: numpy.save("),
                Arguments.of("w.zip", zip("weights.npy"), "is a NumPy .npz archive"),
                Arguments.of("w.zip", zip("model/config.json"), "packed with zip; unpack it first"),
                Arguments.of(
                        "m.gguf",
                        "GGUF\3\0\0\0\1",
                        "is a GGUF file, which is read as a model only, by the library groupreduce-models"),
                Arguments.of("m.safetensors", "GGUF\3\0\0\0\1", "is a GGUF file"),
                Arguments.of(
                        "m.onnx",
                        "\10\7\22\7pytorch",
                        "is an ONNX model, which is read as a model only, by the library groupreduce-models"),
                Arguments.of("m", "\10\12\22\7pytorch", "is an ONNX model"),
                Arguments.of("m.onnx", "version https://git-lfs", "is a Git LFS pointer"),
                Arguments.of("m.onnx", "<html>", "is a web page"),
                Arguments.of("m.ort", "\50\0\0\0ORTM", "is a model in ONNX Runtime's own format"),
                Arguments.of("m.h5", "\u0089HDF\r\n\u001a\n", "is an HDF5 file, as Keras writes"),
                Arguments.of("m.tgz", "\u001f\u008b\10\0\0\0", "packed with gzip; unpack it first"),
                Arguments.of("m.tar", "\1".repeat(257) + "ustar", "packed with tar; unpack it first"),
                Arguments.of("m", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
                Arguments.of(
                        "m",
                        "<!DOCTYPE html>\n<html lang='en'>",
                        "is a web page or XML, not the file itself; download"),
                Arguments.of("m", "\u00ef\u00bb\u00bf\n <html>", "is a web page"),
                Arguments.of("m.json", "{\"error\": \"Repository not found\"}", "is JSON text, not the file itself"),
                Arguments.of(
                        "m.bin",
                        "Entry not found",
                        "is text, \"Entry not found\", not the file itself; download it again"),
                Arguments.of("m.pth", "\1\2\3\4\5\6\7\10\11", "is named like a PyTorch pickle and is none"),
                Arguments.of("m.safetensors", "\0".repeat(600), "begins with zeros alone"),
                Arguments.of("m.safetensors", "", "is empty; write or download it again"));
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void everyKindIsNamedWithWhatToDo(String name, String content, String message) {
        Path file = write(directory, name, content.getBytes(StandardCharsets.ISO_8859_1));
        assertFails(MalformedFileException.class, () -> Model.open(file), file, message);
        assertFails(MalformedFileException.class, () -> HiddenStates.open(file), file, message);
        if (!name.endsWith(".safetensors") && name.contains(".") && !name.endsWith(".json")) {
            // What can be read is to be named; what it is will be said of the file.
            String what = name.endsWith(".onnx") || name.endsWith(".gguf") ? "name the file to read" : message;
            assertFails(InvalidDataException.class, () -> Model.open(directory), directory, "\"" + name + "\"", what);
        }
    }

    @Test
    void aNumpyArrayIsReadByItsContentWhateverItIsCalled() {
        byte[] npy = NumpyFileTest.npy(
                1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1L, 2L), }", new byte[] {0, 0, 0, 0, 0, 0, 0, 64
                });
        Path file = write(directory, "matrix.dat", npy);
        try (Model model = Model.open(file)) {
            assertEquals("[0.0, 2.0]", Arrays.toString(model.require("matrix").floats()));
        }
        assertFails(MalformedFileException.class, () -> HiddenStates.open(file), file, "is a NumPy array");
        Path misnamed = write(directory, "model.npy", "GGUF\3\0\0\0\1");
        assertFails(MalformedFileException.class, () -> Model.open(misnamed), misnamed, "is a GGUF file");
    }
}
