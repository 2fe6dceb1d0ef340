package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.error.InvalidDataException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How a model makes the logits of its tokens from its output matrix A and a hidden state h: {@code scale * (A h) + bias}, and with a
 * soft cap c then {@code c * tanh(logit / c)}.
 *
 * @param scale finite, above 0
 * @param bias the tensor that is added, of N numbers; {@code null} for none
 * @param cap finite, above 0; 0 for none
 * @param unknown what else changes the logits and cannot be computed, the second half of a sentence; {@code null} for nothing
 */
public record Logits(double scale, String bias, double cap, String unknown) {
    /** A h and nothing else. */
    public static final Logits PLAIN = new Logits(1, null, 0, null);

    /**
     * What hidden states give under these logits can be computed.
     *
     * @param where names the matrix
     * @throws InvalidDataException if a cap or something unknown changes the logits
     */
    public void requireComputable(String where) {
        String why = obstacle();
        if (why != null) {
            throw new InvalidDataException(where + " cannot be fitted to or judged on hidden states: " + why
                    + "; leave the hidden states out.");
        }
    }

    /** Why probabilities cannot be computed under these logits, the second half of a sentence; {@code null} if they can. */
    public String obstacle() {
        return unknown != null || cap == 0 ? unknown : "the model caps its logits softly at " + cap;
    }

    /** As it stands in the metadata; empty for plain logits. */
    Map<String, Object> document() {
        Map<String, Object> document = new LinkedHashMap<>();
        if (scale != 1) {
            document.put("scale", scale);
        }
        if (bias != null) {
            document.put("bias", bias);
        }
        if (cap > 0) {
            document.put("cap", cap);
        }
        if (unknown != null) {
            document.put("unknown", unknown);
        }
        return document;
    }

    /** @throws IllegalArgumentException if the document is not one that {@link #document} makes */
    static Logits read(JsonNode document) {
        JsonNode bias = document.path("bias");
        JsonNode unknown = document.path("unknown");
        if (!document.isObject() || !isTextOrMissing(bias) || !isTextOrMissing(unknown)) {
            throw new IllegalArgumentException("are no object of numbers and texts");
        }
        return new Logits(
                positive(document, "scale", 1),
                bias.textValue(),
                positive(document, "cap", 0),
                unknown.isMissingNode() ? null : Wording.line(unknown.textValue()));
    }

    private static boolean isTextOrMissing(JsonNode node) {
        return node.isTextual() || node.isMissingNode();
    }

    private static double positive(JsonNode document, String key, double without) {
        JsonNode number = document.path(key);
        if (number.isMissingNode()) {
            return without;
        }
        double value = number.asDouble();
        if (!number.isNumber() || !(value > 0 && value <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException("have a '" + key + "' that is no finite number above 0");
        }
        return value;
    }
}
