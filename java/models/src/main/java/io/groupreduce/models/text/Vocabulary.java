package io.groupreduce.models.text;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.InputFile;
import io.groupreduce.format.Wording;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/** The tokens of a {@code tokenizer.json} and their numbers, which the native library keeps to itself. */
final class Vocabulary {
    /** More rows than any embedding of a text model has; a hostile number would ask for memory. */
    private static final int MOST = 1 << 24;

    private final Path file;
    private final Map<Integer, String> tokens = new HashMap<>();
    private final Map<String, Integer> ids = new HashMap<>();
    private final List<Integer> added = new ArrayList<>();
    private final BitSet special = new BitSet();
    private int size;
    private int longest = Integer.MAX_VALUE;

    private Vocabulary(Path file) {
        this.file = file;
    }

    /** @throws MalformedFileException if this is no tokenizer.json: not JSON, without a vocabulary, with ids that cannot be */
    static Vocabulary of(Path file, byte[] json) {
        Vocabulary vocabulary = new Vocabulary(file);
        try (JsonParser in = InputFile.parser(json)) {
            if (in.nextToken() != JsonToken.START_OBJECT) {
                throw new IOException("it does not begin with {");
            }
            while (in.nextToken() == JsonToken.FIELD_NAME) {
                String name = in.currentName();
                in.nextToken();
                if (name.equals("added_tokens") && in.isExpectedStartArrayToken()) {
                    vocabulary.readAdded(in);
                } else if (name.equals("model") && in.isExpectedStartObjectToken()) {
                    vocabulary.readModel(in);
                } else if (name.equals("post_processor")) {
                    in.setCodec(new ObjectMapper());
                    vocabulary.requireTemplates(in.readValueAsTree());
                } else if (name.equals("truncation") && in.isExpectedStartObjectToken()) {
                    vocabulary.readTruncation(in);
                } else {
                    in.skipChildren();
                }
            }
        } catch (IOException e) {
            throw new MalformedFileException(
                    Wording.file(file) + " is no tokenizer.json: it is no JSON ("
                            + Wording.line(
                                    e instanceof JsonProcessingException parsing
                                            ? parsing.getOriginalMessage()
                                            : e.getMessage())
                            + "); name the tokenizer.json of the model, which the transformers library writes for every"
                            + " fast tokenizer.",
                    e);
        }
        if (vocabulary.tokens.isEmpty()) {
            throw new MalformedFileException(Wording.file(file)
                    + " is no tokenizer.json: it has no \"model\" with a \"vocab\"; name the tokenizer.json of the model,"
                    + " not its vocab.json or tokenizer_config.json.");
        }
        return vocabulary;
    }

    /** The native library ends the process where a template names a special token that is not listed beside it. */
    private void requireTemplates(JsonNode processors) {
        for (JsonNode processor : processors.findParents("special_tokens")) {
            for (JsonNode special : processor.findValues("SpecialToken")) {
                String id = special.path("id").asText();
                if (!processor.path("special_tokens").has(id)) {
                    throw new MalformedFileException(
                            Wording.file(file) + " puts the special token " + Wording.quoted(id)
                                    + " around texts, but does not say which token that is; download it again.");
                }
            }
        }
    }

    private void readModel(JsonParser in) throws IOException {
        boolean merges = false;
        boolean prefix = false;
        while (in.nextToken() == JsonToken.FIELD_NAME) {
            String name = in.currentName();
            JsonToken value = in.nextToken();
            merges |= name.equals("merges") && value != JsonToken.VALUE_NULL;
            prefix |= name.equals("continuing_subword_prefix")
                    && value != JsonToken.VALUE_NULL
                    && !in.getText().isEmpty();
            if (name.equals("vocab") && in.isExpectedStartObjectToken()) {
                while (in.nextToken() == JsonToken.FIELD_NAME) {
                    String token = in.currentName();
                    in.nextToken();
                    put(token, in);
                }
            } else if (name.equals("vocab") && in.isExpectedStartArrayToken()) {
                // Unigram: pairs of token and score, numbered by their places.
                for (int id = 0; in.nextToken() == JsonToken.START_ARRAY; id++) {
                    in.nextToken();
                    put(in.getText(), id);
                    while (in.nextToken() != JsonToken.END_ARRAY) {
                        in.skipChildren();
                    }
                }
            } else {
                in.skipChildren();
            }
        }
        if (merges && prefix) {
            // The native library ends the process where a merge lacks the prefix.
            throw new MalformedFileException(
                    Wording.file(file) + " has a byte-pair vocabulary with a continuing_subword_prefix,"
                            + " which is not read; take a tokenizer without one.");
        }
    }

    private void readTruncation(JsonParser in) throws IOException {
        while (in.nextToken() == JsonToken.FIELD_NAME) {
            boolean length = in.currentName().equals("max_length");
            if (in.nextToken() == JsonToken.VALUE_NUMBER_INT && length) {
                longest = Math.clamp(in.getLongValue(), 0, Integer.MAX_VALUE);
            }
            in.skipChildren();
        }
    }

    private void readAdded(JsonParser in) throws IOException {
        while (in.nextToken() == JsonToken.START_OBJECT) {
            String content = null;
            int id = -1;
            boolean isSpecial = false;
            while (in.nextToken() == JsonToken.FIELD_NAME) {
                String name = in.currentName();
                in.nextToken();
                switch (name) {
                    case "content" -> content = in.getText();
                    case "id" -> id = id(in, content);
                    case "special" -> isSpecial = in.currentToken() == JsonToken.VALUE_TRUE;
                    default -> in.skipChildren();
                }
            }
            if (content != null && id >= 0) {
                put(content, id);
                added.add(id);
                special.set(id, isSpecial);
            }
        }
    }

    private void put(String token, JsonParser in) throws IOException {
        put(token, id(in, token));
    }

    private void put(String token, int id) {
        tokens.put(id, token);
        ids.put(token, id);
        size = Math.max(size, id + 1);
    }

    private int id(JsonParser in, String token) throws IOException {
        long id = in.currentToken() == JsonToken.VALUE_NUMBER_INT ? in.getLongValue() : -1;
        if (id < 0 || id >= MOST) {
            throw new MalformedFileException(Wording.file(file) + " gives the token "
                    + Wording.quoted(String.valueOf(token)) + " the number " + Wording.line(in.getText())
                    + "; tokens are numbered from 0 to " + (MOST - 1) + ".");
        }
        return (int) id;
    }

    int size() {
        return size;
    }

    /** How many tokens a text may have before the file would cut it; no bound is the largest number. */
    int longest() {
        return longest;
    }

    /** {@code null} where an id belongs to none. */
    String token(int id) {
        return tokens.get(id);
    }

    OptionalInt id(String token) {
        Integer id = ids.get(token);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    boolean isSpecial(int id) {
        return special.get(id);
    }

    /** Those beside the model's own vocabulary. */
    List<Integer> added() {
        return added;
    }
}
