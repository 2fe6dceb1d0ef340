package io.groupreduce.format;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.CodeValues;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** The JSON document in the metadata of a compressed file: written, and read as far as it is not about one matrix. */
final class CompressedDocument {
    static final String TENSORS = "tensors";
    static final String TIED = "tied";
    static final String LOGITS = "logits";
    private static final String VALUES = "values";

    /** Far more than any document needs; what is parsed can take thirty times its characters in memory. */
    private static final int LONGEST = 1 << 22;

    /** What the parser says of a key that is there twice. */
    private static final Pattern TWICE = Pattern.compile("Duplicate field '(.*)'", Pattern.DOTALL);

    private static final ObjectMapper STRICT = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private CompressedDocument() {}

    /** @param text {@code null} if the file has none */
    static JsonNode read(Path path, String text) {
        if (text == null) {
            throw new InvalidDataException(
                    Wording.file(path) + " holds no compressed matrix; give a file that 'groupreduce compress' wrote.");
        }
        if (text.length() > LONGEST) {
            throw damaged(
                    path, "has " + text.length() + " characters, more than the " + LONGEST + " that are read", null);
        }
        JsonNode parsed;
        try {
            parsed = STRICT.readTree(text);
        } catch (JsonProcessingException e) {
            Matcher twice = TWICE.matcher(e.getOriginalMessage());
            String what = twice.matches() ? "has the key " + Wording.quoted(twice.group(1)) + " twice" : "is not JSON";
            throw damaged(path, what, e);
        }
        JsonNode format = parsed.path("format");
        int version = format.isIntegralNumber() && format.canConvertToInt() ? format.intValue() : 0;
        if (version < 1 || !parsed.path(TENSORS).isObject()) {
            throw damaged(path, "lacks a format version or tensors", null);
        }
        if (version != CompressedFile.FORMAT_VERSION) {
            throw new InvalidDataException(Wording.file(path) + " is of format version " + version
                    + ", but this software reads version " + CompressedFile.FORMAT_VERSION
                    + "; compress the model again, or install a newer version.");
        }
        if (!parsed.path(VALUES).equals(STRICT.valueToTree(values()))) {
            throw damaged(path, "lacks '" + VALUES + "', or gives codes values that this software does not know", null);
        }
        return parsed;
    }

    /** By width, 1 bit first: the value of code 0, and how much further that of each next one is. */
    private static List<List<Integer>> values() {
        return IntStream.rangeClosed(1, CodeValues.MOST_BITS)
                .mapToObj(bits -> List.of(CodeValues.value(bits, 0), CodeValues.step(bits)))
                .toList();
    }

    /** The document of a file of these matrices. */
    static String write(List<CompressedEntry> entries, Map<String, String> tied) {
        Map<String, Object> tensors = new LinkedHashMap<>();
        Map<String, Object> logits = new TreeMap<>();
        for (CompressedEntry entry : entries) {
            Map<String, Object> described = new LinkedHashMap<>(CompressedDescription.of(entry.matrix()));
            entry.document().forEach(described::putIfAbsent);
            tensors.put(entry.matrix().name(), described);
            if (!entry.logits().equals(Logits.PLAIN)) {
                logits.put(entry.matrix().name(), entry.logits().document());
            }
        }
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("format", CompressedFile.FORMAT_VERSION);
        document.put("software", CompressedEntry.softwareVersion());
        document.put(VALUES, values());
        document.put(TENSORS, tensors);
        if (!tied.isEmpty()) {
            document.put(TIED, new TreeMap<>(tied));
        }
        if (!logits.isEmpty()) {
            document.put(LOGITS, logits);
        }
        try {
            return STRICT.writeValueAsString(document);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("the document of " + tensors.keySet() + " cannot be written as JSON", e);
        }
    }

    /** The members of an object of a document, to write them again. */
    static Map<String, Object> members(JsonNode object) {
        return STRICT.convertValue(object, new TypeReference<>() {});
    }

    /** Bytes of a member of an object in the document, which is text in the header, with a comma. */
    static long textBytes(Map<String, JsonNode> member) {
        String inDocument = STRICT.valueToTree(member).toString();
        String braced = STRICT.valueToTree(inDocument).toString();
        // Two quotes and two braces less, a comma more.
        return braced.getBytes(StandardCharsets.UTF_8).length - 3;
    }

    static MalformedFileException damaged(Path path, String what, Throwable cause) {
        return CompressedLayout.damaged(path, "its 'groupreduce' metadata entry " + what, cause);
    }
}
