package io.groupreduce.models.sentence;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.models.run.Runner;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class PoolingTest {
    private static final long[] TOKENS = {-1, -1, 4};
    private static final long[] SENTENCE = {-1, 4};

    private static Pooling.Choice choose(Pooling wanted, Map<String, long[]> outputs) {
        return Pooling.choose("x.onnx", wanted, new TreeMap<>(outputs));
    }

    private static void assertRefused(Pooling wanted, Map<String, long[]> outputs, String part) {
        String said = assertThrows(InvalidDataException.class, () -> choose(wanted, outputs))
                .getMessage();
        assertTrue(said.startsWith("x.onnx has ") && said.contains(part), said);
    }

    @Test
    void theOutputsTellWhatToDo() {
        assertEquals(
                new Pooling.Choice(Pooling.MEAN, "last_hidden_state", true),
                choose(null, Map.of("last_hidden_state", TOKENS, "pooler_output", SENTENCE, "attentions", TOKENS)));
        assertEquals(
                new Pooling.Choice(Pooling.NONE, "sentence_embedding", true),
                choose(null, Map.of("token_embeddings", TOKENS, "sentence_embedding", SENTENCE)));
        assertEquals(new Pooling.Choice(Pooling.MEAN, "y", true), choose(null, Map.of("y", TOKENS)));
        assertEquals(new Pooling.Choice(Pooling.NONE, "y", true), choose(null, Map.of("y", SENTENCE)));
        assertRefused(null, Map.of("y", TOKENS, "z", TOKENS), "several outputs of one vector a token");
        assertRefused(null, Map.of("y", new long[] {-1}), "no output of one vector a sentence [batch, D]");
    }

    @Test
    void whatIsAskedForIsTaken() {
        Map<String, long[]> both = Map.of("token_embeddings", TOKENS, "sentence_embedding", SENTENCE);
        assertEquals(new Pooling.Choice(Pooling.CLS, "token_embeddings", false), choose(Pooling.CLS, both));
        assertEquals(new Pooling.Choice(Pooling.NONE, "y", false), choose(Pooling.NONE, Map.of("y", SENTENCE)));
        assertRefused(Pooling.LAST, Map.of("y", SENTENCE), "leave --pooling away");
    }

    /** What stands behind a sentence fills it up to a fixed length. */
    @Test
    void theTokensOfTheSentenceAreTaken() {
        Runner.Values values = new Runner.Values(new float[] {1, 2, 3, 6, 8, 1, 99, 99}, new long[] {1, 4, 2});
        assertArrayEquals(new float[] {4, 3}, Pooling.MEAN.of(values, 3));
        assertArrayEquals(new float[] {1, 2}, Pooling.CLS.of(values, 3));
        assertArrayEquals(new float[] {8, 1}, Pooling.LAST.of(values, 3));
        assertArrayEquals(
                new float[] {5, 7}, Pooling.NONE.of(new Runner.Values(new float[] {5, 7}, new long[] {1, 2}), 3));
    }
}
