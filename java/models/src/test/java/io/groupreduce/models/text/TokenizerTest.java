package io.groupreduce.models.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {
    @TempDir
    Path directory;

    private Tokenizer open(String json) {
        return Tokenizer.open(TokenizerFiles.write(directory, json));
    }

    @Test
    void allTokensOfATextWithAndWithoutThoseAroundIt() {
        try (Tokenizer bert = open(TokenizerFiles.BERT)) {
            String text = "The cats,  sat <new>[MASK] dogs";
            int[] plain = {5, 6, 7, 9, 8, 11, 4, 1};
            assertArrayEquals(plain, bert.encode(text, false), "neither cut to 4 nor padded to 8");
            assertArrayEquals(new int[] {2, 5, 6, 7, 9, 8, 11, 4, 1, 3}, bert.encode(text, true));
            assertArrayEquals(new int[] {2, 3}, bert.encode("", true));
            assertEquals(0, bert.encode("", false).length);
        }
    }

    @Test
    void numbersTokensAsTheFileDoesWithGapsAndAddedOnes() {
        try (Tokenizer bert = open(TokenizerFiles.BERT)) {
            assertEquals(13, bert.size());
            assertEquals("##s", bert.token(7));
            assertNull(bert.token(10));
            assertEquals("<new>", bert.token(11));
            assertEquals(OptionalInt.of(4), bert.id("[MASK]"));
            assertEquals(OptionalInt.empty(), bert.id("dog"));
            assertTrue(bert.isSpecial(4));
            assertFalse(bert.isSpecial(11) || bert.isSpecial(5));
        }
        try (Tokenizer t5 = open(TokenizerFiles.T5)) {
            assertEquals(6, t5.size());
            assertEquals("▁a", t5.token(4));
            assertArrayEquals(new int[] {4, 5, 2, 1}, t5.encode("abz", true));
        }
    }

    @Test
    void tellsTokenizersThatCloseATextFromThoseThatDoNot() {
        try (Tokenizer bert = open(TokenizerFiles.BERT)) {
            assertTrue(bert.closesTexts());
        }
        try (Tokenizer t5 = open(TokenizerFiles.T5)) {
            assertTrue(t5.closesTexts());
        }
        try (Tokenizer gpt = open(TokenizerFiles.GPT)) {
            assertFalse(gpt.closesTexts());
        }
        String opening = TokenizerFiles.T5.replace(
                "[{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"SpecialToken\": {\"id\": \"</s>\", \"type_id\": 0}}]",
                "[{\"SpecialToken\": {\"id\": \"</s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}]");
        try (Tokenizer llama = open(opening)) {
            assertArrayEquals(new int[] {1, 4}, llama.encode("a", true));
            assertFalse(llama.closesTexts());
        }
    }

    @Test
    void textOfAnyKindReachesTheNativeLibraryAsItIs() {
        try (Tokenizer gpt = open(TokenizerFiles.GPT)) {
            assertArrayEquals(new int[] {6, 7, 3, 4, 8, 5}, gpt.encode("ab a\n\t<|end|>\r", false));
            assertArrayEquals(new int[] {0, 1}, gpt.encode("a\0😀\uD83Db", false), "what has no token falls out");
            String deep = "ab".repeat(100_000);
            assertEquals(100_000, gpt.encode(deep, false).length);
        }
    }

    @Test
    void threadsShareATokenizer() {
        try (Tokenizer gpt = open(TokenizerFiles.GPT)) {
            String[] texts = IntStream.range(0, 1000)
                    .mapToObj(i -> "ab a".repeat(i % 17))
                    .toArray(String[]::new);
            long tokens = Arrays.stream(texts)
                    .parallel()
                    .mapToLong(text -> gpt.encode(text, true).length)
                    .sum();
            assertEquals(
                    Arrays.stream(texts).mapToLong(text -> text.length() / 2).sum(), tokens);
        }
    }

    @Test
    void refusesWhatIsNoTokenizer() throws Exception {
        assertRefused("no \"model\"", "{\"the\": 0, \"cat\": 1}");
        assertRefused("no JSON", "\n\u0007model.proto");
        assertRefused("no JSON", "[1]");
        assertRefused("no JSON", "");
        assertRefused("no JSON", TokenizerFiles.BERT.substring(0, 1500));
        assertRefused("no usable", TokenizerFiles.BERT.replace("\"WordPiece\"", "\"WordPuzzle\""));
        assertRefused("number -7", TokenizerFiles.BERT.replace("\"##s\": 7", "\"##s\": -7"));
        assertRefused("number 99999999999999", TokenizerFiles.BERT.replace("\"##s\": 7", "\"##s\": 99999999999999"));
        assertRefused("number 7.5", TokenizerFiles.BERT.replace("\"##s\": 7", "\"##s\": 7.5"));
        assertRefused("is number 10", TokenizerFiles.BERT.replace("\"id\": 11", "\"id\": 10"));
        assertRefused(
                "does not say which token", TokenizerFiles.BERT.replace("\"[SEP]\": {\"id\"", "\"[SOP]\": {\"id\""));
        assertRefused(
                "continuing_subword_prefix",
                TokenizerFiles.GPT.replace(
                        "\"continuing_subword_prefix\": \"\"", "\"continuing_subword_prefix\": \"##\""));
        Path latin = TokenizerFiles.write(directory, "");
        Files.write(latin, TokenizerFiles.T5.getBytes(StandardCharsets.UTF_16));
        assertThrows(MalformedFileException.class, () -> Tokenizer.open(latin));
        assertThrows(FileAccessException.class, () -> Tokenizer.open(directory));
        assertThrows(FileAccessException.class, () -> Tokenizer.open(directory.resolve("none.json")));
    }

    private void assertRefused(String reason, String json) {
        Path file = TokenizerFiles.write(directory, json);
        String message = assertThrows(MalformedFileException.class, () -> Tokenizer.open(file), reason)
                .getMessage();
        assertTrue(message.startsWith(file + " ") && message.contains(reason) && message.endsWith("."), message);
    }

    @Test
    void refusesTextThatItHasNoTokensFor() {
        try (Tokenizer words = open(TokenizerFiles.WORDS)) {
            assertArrayEquals(new int[] {0, 1}, words.encode("the cat", true));
            String message = assertThrows(InvalidDataException.class, () -> words.encode("the dog", true))
                    .getMessage();
            assertTrue(message.contains("no tokens for the text \"the dog\""), message);
        }
    }

    @Test
    void refusesToWorkAfterItsEnd() {
        Tokenizer words = open(TokenizerFiles.WORDS);
        words.close();
        words.close();
        assertThrows(IllegalStateException.class, () -> words.encode("the", false));
    }

    @Test
    void namesThePlatformAsTheJarDoes() {
        assertEquals("linux-x86_64", NativeTokenizers.platform("Linux", "amd64"));
        assertEquals("osx-aarch64", NativeTokenizers.platform("Mac OS X", "aarch64"));
        assertEquals("win-x86_64", NativeTokenizers.platform("Windows 11", "amd64"));
    }
}
