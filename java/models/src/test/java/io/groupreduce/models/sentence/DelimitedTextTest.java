package io.groupreduce.models.sentence;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.MalformedFileException;
import io.groupreduce.models.sentence.DelimitedText.Line;
import java.util.List;
import org.junit.jupiter.api.Test;

class DelimitedTextTest {
    private static List<List<String>> fields(String text) {
        return DelimitedText.read("x.csv", text).stream().map(Line::fields).toList();
    }

    private static void assertRefused(String text, String part) {
        String said =
                assertThrows(MalformedFileException.class, () -> fields(text)).getMessage();
        assertTrue(said.startsWith("x.csv ") && said.contains(part) && said.endsWith("."), said);
    }

    @Test
    void quotesHoldSeparatorsLineBreaksAndQuotes() {
        assertEquals(
                List.of(List.of("a, \"b\"", "", "c\r\nd", " e\"f "), List.of("", "1")),
                fields("\"a, \"\"b\"\"\",\"\",\"c\r\nd\", e\"f \r\n,1"));
    }

    @Test
    void linesEndEitherWayAndTheLastNeedNot() {
        List<List<String>> expected = List.of(List.of("a", "b"), List.of("c", "d"));
        assertEquals(expected, fields("a,b\nc,d"));
        assertEquals(expected, fields("a,b\r\n\r\nc,d\r\n\n"));
        assertEquals(List.of(List.of("a", "")), fields("a,"));
        assertEquals(List.of(), fields(""));
    }

    @Test
    void aLineIsToldByWhereItBegins() {
        assertEquals(
                List.of(1, 3, 5),
                DelimitedText.read("x.csv", "\"a\nb\",1\nc,2\n\nd,3\n").stream()
                        .map(Line::line)
                        .toList());
    }

    @Test
    void tabsSeparateWhereTheFirstLineHasOneAndQuotesAreText() {
        assertEquals(
                List.of(List.of("\"Hi\", he said.", "5"), List.of("a,b", "\"")),
                fields("\"Hi\", he said.\t5\r\na,b\t\""));
    }

    @Test
    void quotesThatDoNotMatch() {
        assertRefused("a,b\nc,\"d\ne", "in line 2 that no other one closes");
        assertRefused("a,b\n\"c\n\" d,e", "behind a closing quote in line 3");
    }
}
