package io.groupreduce.models.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Progress;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CountsFile;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenCountsTest {
    @TempDir
    Path directory;

    private TokenCounts count(Tokenizer tokenizer, int threads, String... texts) throws Exception {
        Path[] files = new Path[texts.length];
        for (int i = 0; i < files.length; i++) {
            files[i] = Files.writeString(directory.resolve(i + ".txt"), texts[i]);
        }
        try (TextFiles read = TextFiles.open(List.of(files), InputStream.nullInputStream())) {
            return TokenCounts.of(tokenizer, read, threads, Progress.NONE);
        }
    }

    private Tokenizer open(String json) {
        return Tokenizer.open(TokenizerFiles.write(directory, json));
    }

    @Test
    void linesAreTextsForATokenizerThatClosesThem() throws Exception {
        try (Tokenizer bert = open(TokenizerFiles.BERT)) {
            TokenCounts counts = count(bert, 1, "The cat, the cats\n\n  \nsat", "<new> dog\r\nmat\r\n");
            assertTrue(counts.areLinesTexts());
            assertEquals(4, counts.texts());
            assertArrayEquals(new long[] {0, 1, 4, 4, 0, 2, 2, 1, 1, 1, 0, 1, 1}, counts.counts());
            assertEquals(18, counts.tokens());
            assertEquals(10, counts.distinct());
        }
    }

    @Test
    void filesAreTextsForATokenizerThatDoesNot() throws Exception {
        try (Tokenizer gpt = open(TokenizerFiles.GPT)) {
            TokenCounts counts = count(gpt, 1, "ab a\n\na", "b<|end|>");
            assertFalse(counts.areLinesTexts());
            assertEquals(2, counts.texts());
            assertArrayEquals(new long[] {1, 1, 0, 2, 0, 0, 1, 1, 1}, counts.counts(), "line ends are tokens too");
        }
    }

    @Test
    void countsAreTheSameWithAnyNumberOfThreads() throws Exception {
        String line = "the cats sat, the cat sat\n";
        try (Tokenizer bert = open(TokenizerFiles.BERT)) {
            String[] texts = {line.repeat(9000), "mat\n".repeat(40_000), line};
            long[] alone = count(bert, 1, texts).counts();
            assertEquals(9001 * 2, alone[5]);
            assertEquals(9001 + 40_000, alone[3]);
            assertArrayEquals(alone, count(bert, 3, texts).counts());
        }
    }

    @Test
    void whatIsWrittenIsReadAsCounts() throws Exception {
        String odd = TokenizerFiles.GPT
                .replace(", \"Ġ a\"", "")
                .replace("\"Ġ\": 2", "\"\\t7\\n\": 2")
                .replace("\"č\": 5", "\"\\\\n\\r\": 5")
                .replace("\"ab\": 6", "\"ab\": 6, \"\": 10")
                .replace("\"id\": 8", "\"id\": 9");
        try (Tokenizer gpt = open(odd)) {
            TokenCounts counts = count(gpt, 1, "ab a b\n\t\t<|end|>");
            Path file = directory.resolve("counts.tsv");
            counts.write(file, gpt);
            assertArrayEquals(counts.counts(), CountsFile.read(file, 11));
            assertEquals(
                    List.of("a", "b", "\\t7\\n", "Ċ", "ĉ", "\\\\n\\r", "ab", "Ġa", "", "<|end|>", ""),
                    Files.readString(file)
                            .lines()
                            .map(each -> each.substring(0, each.lastIndexOf('\t')))
                            .toList());
            assertThrows(InvalidDataException.class, () -> CountsFile.read(file, 10), "more tokens than rows");
            assertEquals(0, CountsFile.read(file, 13)[12], "a matrix may be padded");
        }
    }

    @Test
    void refusesTextsWithoutTokensAndWithUnknownWords() throws Exception {
        try (Tokenizer words = open(TokenizerFiles.WORDS)) {
            String message = assertThrows(InvalidDataException.class, () -> count(words, 2, " \n", "\t"))
                    .getMessage();
            assertTrue(message.contains("no token"), message);
            assertThrows(InvalidDataException.class, () -> count(words, 2, "the cat\n", "a dog"));
        }
        try (Tokenizer bert = open(TokenizerFiles.BERT)) {
            assertThrows(InvalidDataException.class, () -> count(bert, 1, "the cat\n", "\0"));
        }
    }
}
