package io.groupreduce.format;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What a model's {@code config.json} says. */
final class ModelConfig {
    /** Configurations are written by Python, whose JSON has {@code Infinity}. */
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build();

    private ModelConfig() {}

    /**
     * Whether {@code tie_word_embeddings} is true, at the top or in the {@code text_config} of a multimodal model.
     *
     * @param directory where {@code config.json} may lie; without one the answer is no
     */
    static boolean tiesEmbeddings(Path directory) {
        Path file = directory.resolve("config.json");
        if (!Files.isRegularFile(file)) {
            return false;
        }
        try {
            JsonNode config = JSON.readTree(InputFile.readJson(file));
            return config.path("tie_word_embeddings").asBoolean(false)
                    || config.path("text_config").path("tie_word_embeddings").asBoolean(false);
        } catch (IOException e) {
            throw new MalformedFileException(Wording.file(file) + " is not valid JSON; download it again.", e);
        }
    }
}
