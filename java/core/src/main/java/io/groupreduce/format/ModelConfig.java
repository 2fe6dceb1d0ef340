package io.groupreduce.format;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** What a model's {@code config.json} says of its vocabulary matrices. */
final class ModelConfig {
    static final String NAME = "config.json";

    /** Configurations are written by Python, whose JSON has {@code Infinity}. */
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    /** Where a multimodal model keeps the configuration of the language model within it, outermost first. */
    private static final List<String> NESTED =
            List.of("thinker_config", "llm_config", "language_config", "text_config");

    private final JsonNode root;

    private ModelConfig(JsonNode root) {
        this.root = root;
    }

    /** @param directory where {@code config.json} may lie; without one nothing is known */
    static ModelConfig read(Path directory) {
        Path file = directory.resolve(NAME);
        if (!Files.isRegularFile(file)) {
            return new ModelConfig(MissingNode.getInstance());
        }
        try {
            return new ModelConfig(JSON.readTree(InputFile.readJson(file)));
        } catch (IOException e) {
            throw new MalformedFileException(Wording.file(file) + " is not valid JSON; download it again.", e);
        }
    }

    /** The value of a key: of the language model within a multimodal one where it has one, else at the top; missing if neither has. */
    JsonNode value(String key) {
        JsonNode found = root.path(key);
        JsonNode at = root;
        for (String nested : NESTED) {
            if (at.has(nested)) {
                at = at.path(nested);
                found = at.has(key) ? at.path(key) : found;
            }
        }
        return found;
    }

    /** Whether {@code tie_word_embeddings} is true. */
    boolean tiesEmbeddings() {
        return value("tie_word_embeddings").asBoolean(false);
    }
}
