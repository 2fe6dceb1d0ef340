package io.groupreduce.format;

import static io.groupreduce.format.FormatFixtures.assertFails;
import static io.groupreduce.format.FormatFixtures.write;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
    void guessesThatRowsFollowZipfsLaw() {
        List<String> told = new ArrayList<>();
        long[] counts = CountsFile.read(CompressionJob.ZIPF, 4, told::add);
        assertArrayEquals(
                new long[] {1_000_000_000_000L, 500_000_000_000L, 333_333_333_333L, 250_000_000_000L}, counts);
        assertEquals(1, told.size());
        assertFails(FileAccessException.class, () -> CountsFile.read(Path.of("./zipf"), 4), "does not exist");
    }

    @Test
    void readsTheLargestCount() {
        assertArrayEquals(new long[] {Long.MAX_VALUE, 0}, CountsFile.read(file("9223372036854775807\n0\n"), 2));
    }

    @ParameterizedTest
    @CsvSource({"2,3 lines", "1,3 lines"})
    void saysHowManyLinesAndRowsThereAre(int rows, String lines) {
        Path file = file("1\n2\n3\n");
        assertFails(InvalidDataException.class, () -> CountsFile.read(file, rows), file, lines, rows + " rows");
    }

    @Test
    void rowsBeyondTheLastLineCountZeroAndThatIsSaid() {
        Path file = file("1\n2\n3\n");
        List<String> said = new ArrayList<>();
        assertArrayEquals(new long[] {1, 2, 3}, CountsFile.read(file, 3, said::add));
        assertEquals(List.of(), said);
        assertArrayEquals(new long[] {1, 2, 3, 0, 0}, CountsFile.read(file, 5, said::add));
        assertEquals(List.of(file + " has 3 lines for the 5 rows of a matrix; the last 2 rows count 0."), said);
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

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "tok0 9~tok1 8~ | 'fairseq''s dict.txt'",
                "the,9~of,8~ | separated by commas",
                "the;9~of;8~ | separated by commas",
                "token,count~the,9~ | without commas and a heading",
                "token@count~the@9~ | no heading in the first line",
                "the@9.0~of@8.0~ | such as 1000 for 1e3 or 1000.0",
                "the@nan~of@8~ | '\"nan\" where a count should be'",
                "the@-0.5~of@-1.25~ | 'SentencePiece''s .vocab'",
                "  9 the~  8 of~ | 'uniq -c'",
                "9@the~8@of~ | 'uniq -c'",
                "{\"the\": 0,~ \"of\": 1} | is JSON",
                "[9,~8]~ | is JSON",
                "'#version: 0.2~t h' | merges.txt",
                "the@9~of@8~~ | ends with an empty line",
                "the@9~of@8~^~ | ends with an empty line",
                "1@9~0@8~ | not in the order",
                "1@9~2@8~ | 2"
            })
    void saysWhatAFileIsThatIsWrittenOtherwise(String text, String message) {
        Path file = file(text.strip().replace('@', '\t').replace('~', '\n').replace('^', '\r'));
        if (message.equals("2")) {
            assertArrayEquals(new long[] {9, 8}, CountsFile.read(file, 2));
        } else {
            assertFails(InvalidDataException.class, () -> CountsFile.read(file, 2), file, message);
        }
    }

    @Test
    void otherEncodingsAndBinaryFilesAreNamed() {
        for (Charset wide : List.of(StandardCharsets.UTF_16, StandardCharsets.UTF_16LE)) {
            Path file = write(directory, "wide.tsv", "the\t9\r\nof\t8\r\n".getBytes(wide));
            assertFails(InvalidDataException.class, () -> CountsFile.read(file, 2), file, "UTF-16", "save it as UTF-8");
        }
        Path zip = write(directory, "counts.xlsx", new byte[] {'P', 'K', 3, 4, 1, 2, 3, 4, 5, 6, 7, 8});
        assertFails(InvalidDataException.class, () -> CountsFile.read(zip, 2), zip, "unpack it");
        Path gzip = write(directory, "counts.tsv.gz", new byte[] {0x1f, (byte) 0x8b, 8, 0, 0, 0});
        assertFails(InvalidDataException.class, () -> CountsFile.read(gzip, 2), gzip, "gzip");
        Path numpy = write(directory, "counts.npy", new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0});
        assertFails(InvalidDataException.class, () -> CountsFile.read(numpy, 2), numpy, "numpy.savetxt");
        Path pickle = write(directory, "counts.pkl", new byte[] {(byte) 0x80, 4, (byte) 0x95});
        assertFails(
                InvalidDataException.class, () -> CountsFile.read(pickle, 2), pickle, "a Python pickle; write token");
    }

    /** Ids in the order of their counts would give every row the count of another; the words of a vocabulary may be numbers. */
    @Test
    void idsMustStandInTheOrderOfRows() {
        String message = "not in the order of the 4 rows";
        for (String ids : List.of("3 1 0 2", "0 2 1 3", "1 2 3", "0 2 3", "2 3 4", "4 3 2 1", "3\tthe 1\tof")) {
            Path file = file(ids.replace(" ", "\t7\n") + "\t7\n");
            assertFails(InvalidDataException.class, () -> CountsFile.read(file, 4), file, message);
        }
        for (String words : List.of(
                "0 1 2 3", "1 2 3 4", "9 7 5 3", "1 1 0 0", "3 2 1 one", "007 1 2 3", "0\tthe 1\tof 2\tx 3\ty")) {
            assertArrayEquals(
                    new long[] {7, 7, 7, 7}, CountsFile.read(file(words.replace(" ", "\t7\n") + "\t7\n"), 4), words);
        }
        assertArrayEquals(new long[] {7, 7, 0, 0}, CountsFile.read(file("0\t7\n1\t7\n"), 4));
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
