package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.RankedTokens;
import io.groupreduce.api.Sampling;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example of the README, compiled and run. */
class ReadmeExampleTest {
    @Test
    void theExampleRuns(@TempDir Path directory) {
        Path file = HeadFixture.write(directory.resolve("model.safetensors"));
        float[] hidden = HeadFixture.hidden(2);
        int[] targets = {7, 7};
        // begin
        try (SoftmaxHead head = SoftmaxHead.open(file);
                EmbeddingTable embedding = EmbeddingTable.open(file)) {
            int[] next = head.greedy(hidden); // hidden: B x D floats, one state after the other
            RankedTokens best = head.topK(hidden, 10);
            System.out.println(best.token(0, 0) + " with log-probability " + best.logProbability(0, 0));
            float[] logProbabilities = head.logProbabilities(hidden, targets); // for perplexity
            Sampling sampling = Sampling.temperature(0.8).withTopP(0.95);
            int[] drawn = head.sample(hidden, sampling, 42); // the same seed draws the same tokens everywhere
            float[] rows = embedding.rows(drawn); // B x D, the input of the next step
            // end
            assertEquals(7, next[0]);
            assertEquals(best.logProbability(1, 0), logProbabilities[1], 1e-6);
            assertTrue(rows.length == hidden.length && drawn[1] == 7);
        }
    }
}
