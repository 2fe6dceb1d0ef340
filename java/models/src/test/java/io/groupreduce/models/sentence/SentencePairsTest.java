package io.groupreduce.models.sentence;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidDataException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SentencePairsTest {
    @TempDir
    Path directory;

    /** Ten lines of a pattern, with the number of the pair for {@code #}. */
    private static String ten(String pattern) {
        return IntStream.range(0, 10)
                .mapToObj(i -> pattern.replace("#", Integer.toString(i)))
                .collect(Collectors.joining("\n", "", "\n"));
    }

    private SentencePairs read(String text, String... columns) throws IOException {
        return SentencePairs.read(Files.writeString(directory.resolve("pairs.csv"), text), List.of(columns));
    }

    private void assertRefused(String text, String part, String... columns) {
        String said = assertThrows(InvalidDataException.class, () -> read(text, columns))
                .getMessage();
        assertTrue(said.contains("pairs.csv") && said.contains(part) && said.endsWith("."), said);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '`',
            value = {
                "''; 'a #, b #, 1.#'",
                "''; '1.#, a #, b #'",
                "'sentence1, sentence2, score'; 'a #, b #, 1.#'",
                "'year, Gold-Score, Sentence_A, split, Sentence_B'; '2012, 1.#, a #, 7, b #'",
                "'left, right, grade'; 'a #, b #, +1.#e0'",
            })
    void columnsAreToldByHeaderOrByContent(String header, String line) throws IOException {
        String text = (header.replace("'", "").isEmpty() ? "" : header.replace("'", "") + "\n")
                + ten(line.replace("'", "").strip());
        SentencePairs pairs = read(text.replace(", ", ","));
        assertEquals(10, pairs.first().size());
        assertEquals("a 3", pairs.first().get(3));
        assertEquals("b 9", pairs.second().get(9));
        assertArrayEquals(new double[] {1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9}, pairs.scores());
        assertEquals(
                pairs.columns().contains("no header"), header.replace("'", "").isEmpty(), pairs.columns());
    }

    @Test
    void columnsAreTakenAsTheyAreNamed() throws IOException {
        String plain = ten("x\t#\t3\ta #\tb #");
        SentencePairs byNumber = read(plain, "2", "5", "4");
        assertEquals("b 1", byNumber.first().get(1));
        assertEquals(9, byNumber.scores()[9]);
        assertEquals("score in column 2, sentences in 5 and 4, no header", byNumber.columns());
        SentencePairs byName = read("g\tv\tn\ts\tt\n" + plain, "v", "s", "t");
        assertEquals("b 1", byName.second().get(1));
        assertEquals("score in column \"v\", sentences in \"s\" and \"t\"", byName.columns());
        // What nobody asked for may be ragged.
        assertEquals(10, read(plain + "y\t1\t3\ta\tb\tmore\n", "2", "5", "4").scores().length - 1);
        assertRefused(plain, "has no column \"6\"; its first line is \"x\", \"0\", \"3\"", "2", "4", "6");
        assertRefused(plain, "has no column \"score\"", "score", "4", "5");
        assertRefused(plain + "y\t1\n", "line 11 has no column 4, only 2", "2", "4", "5");
    }

    @Test
    void whatCannotBeTold() {
        assertRefused(ten("#,2,a,b"), "4 columns, 2 of them of numbers, so it is not clear");
        assertRefused(ten("a#,b"), "2 columns, 0 of them");
        assertRefused(ten("#,a,b,c"), "--columns 3,1,2");
    }

    @Test
    void scoresAndSentencesOfEveryLineAreLookedAt() {
        assertRefused(ten("a,b,#") + "a,b,none\n", "line 11 has the score \"none\", which is no number");
        for (String score : List.of("NaN", "Infinity", "0x1p3", "1d", "1e999", "")) {
            assertRefused(ten("a,b,#") + "a,b," + score + "\n", "which is no number");
        }
        assertRefused(ten("a,b,#") + "a, ,3\n", "line 11 has an empty sentence in column 2");
        assertRefused(ten("a,b,#") + "a,b,c,3\n", "line 11 has 4 columns where line 1 has 3");
        assertRefused(ten("a,b #,3"), "all 10 pairs the same score, 3.0");
    }

    @Test
    void aFewPairsSayNothing() {
        assertRefused("a,b,3\n", "has 1 pair;");
        assertRefused("s1,s2,score\n" + ten("a,b,#").substring(6), "has 9 pairs;");
    }

    @Test
    void textThatIsNone() throws IOException {
        assertRefused("", "is empty");
        Path file =
                Files.write(directory.resolve("pairs.csv"), ten("caf\u00e9,b,#").getBytes(StandardCharsets.ISO_8859_1));
        InvalidDataException e = assertThrows(InvalidDataException.class, () -> SentencePairs.read(file, List.of()));
        assertTrue(e.getMessage().contains("is no text in UTF-8"), e.getMessage());
    }
}
