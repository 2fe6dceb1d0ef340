package io.groupreduce;

import static io.groupreduce.SoftmaxHeadTest.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmbeddingTableTest {
    private static final int COLUMNS = HeadFixture.COLUMNS;
    private static final int[] TOKENS = {5, 0, 100, 3, 5, 10};

    @TempDir
    Path directory;

    private final CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1);

    @Test
    void rowsAreThoseOfTheMatrix() {
        Path file = HeadFixture.write(directory.resolve("a.safetensors"));
        try (EmbeddingTable table =
                        EmbeddingTable.open(file, HeadOptions.defaults().withDevice(Device.REFERENCE));
                Arena arena = Arena.ofConfined()) {
            assertEquals(HeadFixture.ROWS, table.vocabularySize());
            assertEquals(COLUMNS, table.hiddenSize());
            assertEquals(HeadFixture.NAME, table.name());
            assertTrue(table.device().startsWith("reference: "), table.device());
            float[] expected = new float[TOKENS.length * COLUMNS];
            for (int n = 0; n < TOKENS.length; n++) {
                matrix.decodeRows(TOKENS[n], 1, expected, n * COLUMNS);
            }
            float[] all = table.rows(TOKENS);
            assertArrayEquals(expected, all, 1e-5f);
            float[] one = new float[COLUMNS + 3];
            table.row(TOKENS[2], one, 2);
            for (int j = 0; j < COLUMNS; j++) {
                assertEquals(all[2 * COLUMNS + j], one[2 + j]);
            }
            assertEquals(0, one[1]);
            assertEquals(0, one[COLUMNS + 2]);
            MemorySegment odd = arena.allocate(4L * all.length + 1).asSlice(1);
            table.rows(TOKENS, odd);
            assertArrayEquals(all, odd.toArray(ValueLayout.JAVA_FLOAT_UNALIGNED));
            assertEquals(0, table.rows(new int[0]).length);
        }
    }

    @Test
    void aFileThatIsCutShortUnderTheTableIsNamed() throws Exception {
        Path file = HeadFixture.write(directory.resolve("a.safetensors"));
        try (EmbeddingTable table =
                EmbeddingTable.open(file, HeadOptions.defaults().withDevice(Device.REFERENCE))) {
            Files.newOutputStream(file, StandardOpenOption.TRUNCATE_EXISTING).close();
            assertFails(FileAccessException.class, () -> table.rows(TOKENS), file.toString(), "to 0 bytes");
        }
    }

    @Test
    void manyRowsReachASegmentInBlocks() {
        int[] many = new int[50_000];
        for (int n = 0; n < many.length; n++) {
            many[n] = n * 31 % HeadFixture.ROWS;
        }
        try (EmbeddingTable table = EmbeddingTable.of(new ReferenceBackend(), matrix)) {
            float[] target = new float[many.length * COLUMNS];
            table.rows(many, MemorySegment.ofArray(target));
            assertArrayEquals(table.rows(many), target);
        }
    }

    @Test
    void badInputIsToldAndTheTableStaysUsable() {
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend();
        EmbeddingTable table = EmbeddingTable.of(stub, matrix);
        float[] room = new float[COLUMNS];
        assertFails(InvalidDataException.class, () -> table.row(101, room, 0), "index 0 is 101", "0 to 100");
        assertFails(InvalidDataException.class, () -> table.rows(new int[] {1, 2, -4}), "index 2 is -4");
        assertFails(InvalidDataException.class, () -> table.row(1, room, 1), "12 numbers", "from 1 on");
        assertFails(InvalidDataException.class, () -> table.row(1, room, -1), "from -1 on");
        assertFails(InvalidDataException.class, () -> table.rows(new int[2], room, 0), "2 rows");
        MemorySegment small = MemorySegment.ofArray(new float[2 * COLUMNS - 1]);
        assertFails(InvalidDataException.class, () -> table.rows(new int[2], small), "92 bytes", "96");
        MemorySegment readOnly = MemorySegment.ofArray(room).asReadOnly();
        assertFails(InvalidDataException.class, () -> table.rows(new int[1], readOnly), "read-only");
        stub.logit = Float.NaN;
        assertFails(InvalidDataException.class, () -> table.rows(new int[] {9}), "token 9", HeadFixture.NAME);
        stub.logit = 4;
        table.row(100, room, 0);
        assertEquals(4, room[COLUMNS - 1]);
        table.close();
        assertFails(ClosedHeadException.class, () -> table.row(1, room, 0), "embedding table", HeadFixture.NAME);
        assertEquals(1, stub.sessionsClosed);
        assertEquals(0, stub.closed);
    }
}
