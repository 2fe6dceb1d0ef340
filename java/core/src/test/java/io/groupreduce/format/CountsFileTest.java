package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CountsFileTest {
    @TempDir
    private Path directory;

    private Path file(String text) {
        return write(directory, "counts.tsv", text);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "7\n0\n123",
                "7\n0\n123\n",
                "7\r\n0\r\n123\r\n",
                "\ufeff7\n0\n123\n",
                " 7 \n00\n123  ",
                "the\t7\n\t0\n a b \t123\n",
                "a\tb\t7\n\r\t0\n\u2028\t123\r\n",
                "größe\t7\n\u0085\t0\n9\t123"
            })
    void readsOneCountALine(String text) {
        assertArrayEquals(new long[] {7, 0, 123}, CountsFile.read(file(text), 3));
    }

    @Test
    void readsTheLargestCount() {
        assertArrayEquals(new long[] {Long.MAX_VALUE, 0}, CountsFile.read(file("9223372036854775807\n0\n"), 2));
    }

    @ParameterizedTest
    @CsvSource({"2,3 lines", "4,3 lines", "1,3 lines"})
    void saysHowManyLinesAndRowsThereAre(int rows, String lines) {
        Path file = file("1\n2\n3\n");
        assertFails(InvalidDataException.class, () -> CountsFile.read(file, rows), file, lines, rows + " rows");
    }

    @Test
    void anEmptyFileHasNoLines() {
        assertFails(InvalidDataException.class, () -> CountsFile.read(file(""), 5), "0 lines", "5 rows");
        assertFails(InvalidDataException.class, () -> CountsFile.read(file(""), Integer.MAX_VALUE), "0 lines");
    }

    @ParameterizedTest
    @CsvSource({
        "-5,the negative count -5",
        "x,\"x\" where a count",
        "1e3,\"1e3\" where a count",
        "3.0,\"3.0\" where a count",
        "+3,\"+3\" where a count",
        "-,\"-\" where a count",
        "1 2,\"1 2\" where a count",
        "9223372036854775808,beyond 2^63 - 1",
        "-99999999999999999999,beyond 2^63 - 1",
        "'',has no count",
        "'token\t',has no count",
        "'\u0001',\"\\u0001\" where a count",
        "9223372036854775807,sum of all counts"
    })
    void namesTheLine(String line, String message) {
        Path file = file("1\n" + line + "\n2\n");
        assertFails(InvalidDataException.class, () -> CountsFile.read(file, 3), file, "line 2", message);
    }

    @Test
    void aLongLineIsCutInTheMessage() {
        Path file = file("z".repeat(100_000));
        assertFails(InvalidDataException.class, () -> CountsFile.read(file, 1), file, "line 1", "zzz\"");
    }

    @Test
    void aMissingFileIsNamed() {
        Path file = directory.resolve("none.tsv");
        assertFails(FileAccessException.class, () -> CountsFile.read(file, 3), file, "does not exist");
    }
}
