package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.ModelFile;
import io.groupreduce.api.Progress;
import io.groupreduce.api.Sampling;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The examples of README.md and docs/library.md, compiled and run, and that they stand there as they stand here. */
class ReadmeExampleTest {
    @Test
    void theExampleRuns(@TempDir Path directory) {
        Path file = HeadFixture.write(directory.resolve("model.safetensors"));
        float[] hidden = HeadFixture.hidden(2);
        int[] targets = {7, 7};
        // begin query
        try (SoftmaxHead head = SoftmaxHead.open(file);
                EmbeddingTable embedding = EmbeddingTable.open(file)) {
            States states = States.of(hidden); // B x D floats, one state after the other
            int[] next = head.greedy(states);
            Answers best = head.topK(states, 10);
            System.out.println(best.topToken(0, 0) + " with log-probability " + best.topLogProbability(0, 0));
            float[] logProbabilities = head.logProbabilities(states, targets); // for perplexity
            Sampling sampling = Sampling.temperature(0.8).withTopP(0.95);
            Request first = Request.sample(sampling, 42); // the same seed draws the same tokens everywhere
            Request second = Request.sample(sampling, 43).repetitionPenalty(1.1);
            int[] drawn = head.sample(states, first, second); // in a loop, every step draws anew
            float[] rows = embedding.rows(drawn); // B x D, the input of the next step
            // end
            assertEquals(7, next[0]);
            assertEquals(best.topLogProbability(1, 0), logProbabilities[1], 1e-6);
            assertTrue(rows.length == hidden.length && drawn[1] == 7);
        }
    }

    @Test
    void theExampleOfAnEngineRuns(@TempDir Path directory) {
        Path file = HeadFixture.write(directory.resolve("model.safetensors"));
        float[] hidden = HeadFixture.hidden(2);
        int[] prompt = {3, 7};
        TokenSet grammar = TokenSet.allExcept(7);
        Sampling sampling = Sampling.temperature(0.8).withTopP(0.95);
        try (SoftmaxHead head = SoftmaxHead.open(file)) {
            // begin engine
            // Once: the body writes the states of a step into an array of its own, B x D.
            States states = States.of(hidden);
            Answers answers = Answers.of(2);
            Request[] requests = { // one for each sequence, kept as long as it lives
                Request.sample(sampling, 42).repetitionPenalty(1.1).prompt(prompt),
                Request.greedy().allow(grammar).top(5).probabilities(Probabilities.MODEL)
            };
            // Every step, in place of matmul(logits, lmHead, hidden), penalties, masks, softmax and sampler:
            head.answer(states, requests, answers);
            for (int i = 0; i < requests.length; i++) {
                requests[i].accept(answers.token(i)); // penalties count it, and the next draw is another one
            }
            // end
            assertEquals(7, answers.topToken(1, 0));
            assertTrue(answers.token(1) != 7 && requests[0].step() == 1);
        }
    }

    @Test
    void theExampleThatCompressesRuns(@TempDir Path directory) {
        Path file = directory.resolve("model.safetensors");
        int rows = 3000;
        float[] values = SeededData.powerLaw(1, rows, HeadFixture.COLUMNS, 0.5);
        SafetensorsWriter.write(
                file, List.of(HeadFixture.tensor(HeadFixture.NAME, values, rows, HeadFixture.COLUMNS)), Map.of());
        long[] counts = SeededData.zipfCounts(1, rows, 1e5);
        float[] hidden = HeadFixture.hidden(2);
        // begin compression
        try (Backend backend = BackendSelection.select(Device.AUTO, 8).backend();
                ModelFile model = GroupReduce.openModel(file);
                Arena arena = Arena.ofShared()) {
            Matrix softmax = model.matrix("lm_head.weight");
            CompressedMatrix small = GroupReduce.compress(
                            backend, softmax, counts, null, CompressionOptions.defaults(), arena, Progress.NONE)
                    .matrix();
            try (SoftmaxHead head = SoftmaxHead.of(backend, small, null, HeadOptions.defaults())) {
                int[] next = head.greedy(States.of(hidden));
                // end
                assertEquals(2, next.length);
                assertTrue(small.bytes() < softmax.bytes() / 6);
            }
        }
    }

    @Test
    void theDocumentsShowTheseExamples() throws IOException {
        Path root = Path.of("../..");
        String readme = Files.readString(root.resolve("README.md"));
        String library = Files.readString(root.resolve("docs/library.md"));
        assertTrue(readme.contains(example("query")));
        assertTrue(readme.contains(example("engine")));
        assertTrue(library.contains(example("query")));
        assertTrue(library.contains(example("compression")));
    }

    /** What stands here between the marks, with the braces that the assertions are inside of closed. */
    private static String example(String name) throws IOException {
        String source = Files.readString(Path.of("src/test/java/io/groupreduce/ReadmeExampleTest.java"));
        int begin = source.indexOf("\n", source.indexOf("// begin " + name)) + 1;
        String lines = source.substring(begin, source.indexOf("// end", begin));
        String example = lines.stripTrailing().stripIndent() + "\n";
        int open = (int) (example.chars().filter(c -> c == '{').count()
                - example.chars().filter(c -> c == '}').count());
        for (int depth = open - 1; depth >= 0; depth--) {
            example += "    ".repeat(depth) + "}\n";
        }
        return "```java\n" + example + "```";
    }
}
