package io.groupreduce.examples;

import io.groupreduce.BackendSelection;
import io.groupreduce.Request;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Sampling;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;

/** Runs all examples on the demo model; its argument is the folder of {@code model.safetensors} and {@code counts.tsv}. */
public final class Tour {
    private static final String PROMPT = "in the beginning";

    private Tour() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        Path counts = folder.resolve("counts.tsv");
        Path compressed = Files.createTempDirectory("groupreduce").resolve("small.safetensors");
        int threads = Runtime.getRuntime().availableProcessors();
        try (Backend backend = BackendSelection.select(Device.AUTO, threads).backend()) {
            Path model = folder.resolve("model.safetensors");
            LanguageModel.compress(model, counts, CompressionOptions.defaults(), backend, compressed);
            try (LanguageModel small = LanguageModel.open(compressed, counts, HeadOptions.defaults())) {
                run(small, System.out);
            }
        } finally {
            Files.deleteIfExists(compressed);
            Files.delete(compressed.getParent());
        }
    }

    static void run(LanguageModel model, PrintStream out) {
        int[] prompt = model.tokens(PROMPT);
        Sampling sampling = Sampling.temperature(0.8).withTopP(0.95);

        out.println("greedy: " + model.text(DecoderLoop.generate(model, prompt, 12, Request.greedy())));
        out.println("drawn: " + model.text(DecoderLoop.generate(model, prompt, 12, Request.sample(sampling, 42))));

        Request some = Request.sample(sampling, 42)
                .bias(model.token("("), 9) // what stands for {
                .bias(model.token("-"), 9); // and for [
        JsonGrammar grammar = new JsonGrammar(new JsonTokens(model), 30);
        out.println("JSON: " + ConstrainedDecoding.generate(model, prompt, some, grammar));

        Transformer draft = model.body().first(1);
        Speculation same = SpeculativeDecoding.generate(model, draft, prompt, 12, Request.sample(sampling, 42), 3);
        out.printf("drawn as before, %.0f %% guessed: %s%n", 100 * same.acceptance(), model.text(same.said(12)));
        Request all = Request.sample(Sampling.temperature(0.8), 42);
        Speculation other = SpeculativeSampling.generate(model, draft, prompt, 12, all, 3, new SplittableRandom(7));
        out.printf("likely as before, %.0f %% guessed: %s%n", 100 * other.acceptance(), model.text(other.said(12)));

        ContinuousBatch batch = new ContinuousBatch(model, 2);
        List<ContinuousBatch.User> users = List.of(
                new ContinuousBatch.User(prompt, 9, Request.greedy().repetitionPenalty(1.3)),
                new ContinuousBatch.User(prompt, 4, Request.sample(sampling, 1)),
                new ContinuousBatch.User(prompt, 7, Request.sample(sampling, 2).presencePenalty(1)));
        batch.serve(users);
        users.forEach(user -> out.println("a user: " + model.text(user.said())));

        LogProbabilities.generate(model, prompt, 3, Request.sample(sampling, 42), 2)
                .forEach(out::println);
    }
}
