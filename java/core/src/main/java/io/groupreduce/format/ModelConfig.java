package io.groupreduce.format;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** What a model's {@code config.json} says of its vocabulary matrices. */
final class ModelConfig {
    static final String NAME = "config.json";

    /** Configurations are written by Python, whose JSON has {@code Infinity}. */
    private static final JsonMapper JSON = new JsonMapper(InputFile.jsonFactory()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build());

    /** Twice the longest that is known, with the names of 21,843 classes; parsed, a hostile one is twenty times as large. */
    private static final int LONGEST = 1 << 22;

    /** Nothing is known. */
    static final ModelConfig NONE = new ModelConfig(MissingNode.getInstance());

    /** Where a model of several parts keeps the configuration of the one that makes logits, outermost first. */
    private static final List<String> NESTED = List.of(
            "thinker_config",
            "llm_config",
            "llm_cfg",
            "language_config",
            "decoder",
            "text_model_config",
            "text_config");

    private final JsonNode root;

    private ModelConfig(JsonNode root) {
        this.root = root;
    }

    /** @param file a configuration; where there is none nothing is known */
    static ModelConfig read(Path file) {
        if (!Files.isRegularFile(file)) {
            return NONE;
        }
        try {
            JsonNode root = JSON.readTree(InputFile.readJson(file, LONGEST));
            if (!root.isObject()) {
                throw new MalformedFileException(Wording.file(file) + " is not a JSON object; download it again.");
            }
            return new ModelConfig(root);
        } catch (IOException e) {
            throw new MalformedFileException(Wording.file(file) + " is not valid JSON; download it again.", e);
        }
    }

    /** The value of a key: of the language model within a multimodal one where it has one, else at the top; missing if neither has. */
    JsonNode value(String key) {
        JsonNode found = root.path(key);
        JsonNode at = root;
        for (String nested : NESTED) {
            if (at.path(nested).isObject()) {
                at = at.path(nested);
                found = at.has(key) ? at.path(key) : found;
            }
        }
        return found;
    }

    /** The whole numbers above 0 that any of these keys has, at the top or in any part but the named ones. */
    Set<Long> numbers(List<String> keys, List<String> without) {
        Set<Long> found = new TreeSet<>();
        addNumbers(root, keys, without, found);
        return found;
    }

    private static void addNumbers(JsonNode node, List<String> keys, List<String> without, Set<Long> found) {
        node.properties().forEach(entry -> {
            JsonNode value = entry.getValue();
            if (value.isObject() && !without.contains(entry.getKey())) {
                addNumbers(value, keys, without, found);
            } else if (value.canConvertToLong() && value.longValue() > 0 && keys.contains(entry.getKey())) {
                found.add(value.longValue());
            }
        });
    }

    /** All keys that {@link #value} knows, in the order of the file. */
    Set<String> keys() {
        Set<String> keys = new LinkedHashSet<>();
        JsonNode at = root;
        at.fieldNames().forEachRemaining(keys::add);
        for (String nested : NESTED) {
            if (at.path(nested).isObject()) {
                at = at.path(nested);
                at.fieldNames().forEachRemaining(keys::add);
            }
        }
        return keys;
    }
}
