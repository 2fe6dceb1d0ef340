package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.f32;
import static io.groupreduce.format.FormatFixtures.i32;
import static io.groupreduce.format.FormatFixtures.i64;
import static io.groupreduce.format.FormatFixtures.matrix;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HiddenStatesTest {
    @TempDir
    private Path directory;

    private Path file(Tensor... tensors) {
        Path file = directory.resolve("h.safetensors");
        SafetensorsWriter.write(file, List.of(tensors), Map.of());
        return file;
    }

    private static float[] row(Matrix matrix, int row) {
        float[] values = new float[matrix.columns()];
        matrix.readRow(row, values, 0);
        return values;
    }

    @Test
    void readsHiddenStatesAndTargets() {
        for (Tensor targets : List.of(i32("targets", 4, 0, 9), i64("targets", 4, 0, 9))) {
            try (HiddenStates states = HiddenStates.open(file(matrix("hidden", 3, 2, 0f), targets))) {
                assertEquals(3, states.hidden().rows());
                assertArrayEquals(new float[] {4f, 5f}, row(states.hidden(), 2));
                assertArrayEquals(new int[] {4, 0, 9}, states.targets());
            }
        }
        try (HiddenStates states = HiddenStates.open(file(matrix("hidden", 3, 2, 0f)))) {
            assertNull(states.targets());
        }
    }

    @Test
    void closingEndsTheStatesAndMayBeRepeated() {
        HiddenStates states = HiddenStates.open(file(matrix("hidden", 4, 2, 0f), i32("targets", 4, 5, 6, 7)));
        assertArrayEquals(new float[] {6f, 7f}, row(states.hidden(), 3));
        states.close();
        states.close();
        assertThrows(IllegalStateException.class, () -> row(states.hidden(), 0));
    }

    @Test
    void wrongTensors() {
        Path missing = file(matrix("states", 2, 2, 0f));
        assertFails(InvalidDataException.class, () -> HiddenStates.open(missing), missing, "\"hidden\"", "\"states\"");
        Path flat = file(f32("hidden", new long[] {2}, 1, 2));
        assertFails(InvalidDataException.class, () -> HiddenStates.open(flat), flat, "\"hidden\"", "[2]");
        Path integers = file(new Tensor(
                "hidden", DType.I32, new long[] {1, 2}, i32("x", 1, 2).data()));
        assertFails(InvalidDataException.class, () -> HiddenStates.open(integers), integers, "\"hidden\"", "I32");
        Path fewer = file(matrix("hidden", 3, 2, 0f), i32("targets", 1, 2));
        assertFails(InvalidDataException.class, () -> HiddenStates.open(fewer), fewer, "3 hidden states", "2 targets");
        Path square = file(
                matrix("hidden", 2, 2, 0f),
                new Tensor(
                        "targets", DType.I32, new long[] {2, 1}, i32("x", 1, 2).data()));
        assertFails(InvalidDataException.class, () -> HiddenStates.open(square), square, "\"targets\"", "[2, 1]");
        Path floats = file(matrix("hidden", 2, 2, 0f), f32("targets", new long[] {2}, 1, 2));
        assertFails(InvalidDataException.class, () -> HiddenStates.open(floats), floats, "\"targets\"", "F32");
        Path far = file(matrix("hidden", 2, 2, 0f), i64("targets", 1, 1L << 40));
        assertFails(InvalidDataException.class, () -> HiddenStates.open(far), far, "\"targets\"", "1099511627776");
        Path none = directory.resolve("none.safetensors");
        assertFails(FileAccessException.class, () -> HiddenStates.open(none), none);
    }
}
