package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.DType;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NumpyFileTest {
    private static final String F32_2X3 = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

    @TempDir
    private Path directory;

    static byte[] npy(int version, String header, byte[] data) {
        byte[] text = header.getBytes(StandardCharsets.ISO_8859_1);
        ByteBuffer file = ByteBuffer.allocate(8 + (version == 1 ? 2 : 4) + text.length + data.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) 0x93)
                .put("NUMPY".getBytes(StandardCharsets.US_ASCII))
                .put((byte) version)
                .put((byte) 0);
        if (version == 1) {
            file.putShort((short) text.length);
        } else {
            file.putInt(text.length);
        }
        return file.put(text).put(data).array();
    }

    private static byte[] sixFloats() {
        ByteBuffer data = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < 6; i++) {
            data.putFloat(i);
        }
        return data.array();
    }

    private void open(byte[] content) {
        try (Arena arena = Arena.ofConfined()) {
            NumpyFile.open(write(directory, "m.npy", content), arena);
        }
    }

    private <T extends GroupReduceException> void fails(Class<T> type, byte[] content, Object... parts) {
        T failure = assertFails(type, () -> open(content), parts);
        assertTrue(failure.getMessage().startsWith(directory.resolve("m.npy").toString()), failure.getMessage());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void readsFloat32OfEveryVersion(int version) {
        try (Arena arena = Arena.ofConfined()) {
            Path file = write(directory, "m.npy", npy(version, F32_2X3 + "   \n", sixFloats()));
            Tensor tensor = NumpyFile.open(file, arena);
            assertEquals("matrix", tensor.name());
            assertEquals(DType.F32, tensor.type());
            assertArrayEquals(new long[] {2, 3}, tensor.shape());
            assertArrayEquals(new float[] {0, 1, 2, 3, 4, 5}, tensor.floats());
        }
    }

    @Test
    void readsFloat16() {
        try (Arena arena = Arena.ofConfined()) {
            String header = "{\"shape\":(1,2), \"fortran_order\":False, \"descr\":\"<f2\"}";
            Path file = write(directory, "m.npy", npy(1, header, new byte[] {0, 0x3c, 0, (byte) 0xc0}));
            assertArrayEquals(new float[] {1, -2}, NumpyFile.open(file, arena).floats());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "'<f4', True , '(2, 3)', Fortran order",
        "'<f8', False, '(2, 3)', '\"<f8\"; save it'",
        "'>f4', False, '(2, 3)', '\">f4\"; save it'",
        "'|V2', False, '(2, 3)', '\"|V2\", raw bytes, as bfloat16 is saved'",
        "'|O', False, '(2, 3)', 'Python objects; save one matrix of numbers'",
        "'|i1', False, '(2, 3)', 'save the floats of the matrix, not codes or text'",
        "'<f4', False, '(6,)', 'shape [6]'",
        "'<f4', False, '()', 'shape []'",
        "'<f4', False, '(1, 2, 3)', 'shape [1, 2, 3]'",
        "'<f4', False, '(0, 3)', 'shape [0, 3], which holds no number'",
        "'<f4', False, '(2, 0)', 'shape [2, 0], which holds no number'"
    })
    void saysHowToSaveWhatItCannotUse(String descr, String order, String shape, String message) {
        String header = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }".formatted(descr, order, shape);
        fails(InvalidDataException.class, npy(1, header, sixFloats()), message);
    }

    @Test
    void recordsCannotBeUsed() {
        String header = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }";
        fails(InvalidDataException.class, npy(1, header, sixFloats()), "records");
    }

    @Test
    void damagedFiles() {
        fails(MalformedFileException.class, new byte[0], "is empty");
        fails(MalformedFileException.class, "\0PK and more".getBytes(StandardCharsets.US_ASCII), "not a NumPy file");
        fails(MalformedFileException.class, npy(9, F32_2X3, sixFloats()), "version 9");
        fails(MalformedFileException.class, npy(1, "{'descr': '<f4', 'shape': (2, 3)}", sixFloats()), "fortran_order");
        fails(MalformedFileException.class, npy(1, "{}", sixFloats()), "descr");
        fails(MalformedFileException.class, npy(1, F32_2X3.replace("(2, 3)", "(2, x)"), sixFloats()), "shape");
        fails(MalformedFileException.class, npy(1, F32_2X3.replace("(2, 3)", "(, 3)"), sixFloats()), "shape");
        fails(MalformedFileException.class, npy(1, F32_2X3.replace("2", "9".repeat(30)), sixFloats()), "shape");
        fails(
                MalformedFileException.class,
                npy(1, F32_2X3.replace("(2, 3)", "(4294967296, 4294967296)"), sixFloats()),
                "impossible shape");
        fails(MalformedFileException.class, npy(1, F32_2X3, new byte[25]), "25 bytes of data", "needs 24");
        fails(MalformedFileException.class, npy(2, " ".repeat(70_000) + F32_2X3, sixFloats()), "header of 700");
    }

    @Test
    void everyPrefixOfAFileIsMalformed() {
        for (int version = 1; version <= 3; version++) {
            byte[] whole = npy(version, F32_2X3, sixFloats());
            for (int size = 0; size < whole.length; size++) {
                fails(MalformedFileException.class, Arrays.copyOf(whole, size));
            }
        }
    }

    @Test
    void aMissingFileIsNamed() {
        Path file = directory.resolve("none.npy");
        try (Arena arena = Arena.ofConfined()) {
            assertFails(FileAccessException.class, () -> NumpyFile.open(file, arena), file, "does not exist");
        }
    }
}
