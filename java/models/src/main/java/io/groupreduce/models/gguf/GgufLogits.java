package io.groupreduce.models.gguf;

import io.groupreduce.format.Logits;
import io.groupreduce.format.Wording;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What the metadata of a GGUF model say of its logits, as the graphs of llama.cpp read them. A key that is not known but named like one that
 * changes logits counts as something that cannot be computed.
 */
final class GgufLogits {
    /** Architectures that multiply logits by {@code logit_scale}. */
    private static final Set<String> MULTIPLY = Set.of("command-r", "cohere2", "cohere2moe", "grok");

    /** Those that divide by it. */
    private static final Set<String> DIVIDE = Set.of("granite", "granitemoe", "granitehybrid", "minicpm");

    /** Those that scale logits by a number that older files do not name. */
    private static final Set<String> ALWAYS_SCALE = Set.of("grok", "minicpm");

    /** MiniCPM3 multiplies states by this over their length. */
    private static final double BASE_OF_MINICPM3 = 256;

    /** Of Gemma 2 where the file does not name it. */
    private static final double CAP_OF_GEMMA2 = 30;

    private static final String SCALE = "logit_scale";
    private static final String CAP = "final_logit_softcapping";

    /** Of attention and routing. */
    private static final Pattern HARMLESS = Pattern.compile(".*(?:attn|attention|rout|expert|embedding|bias).*");

    /** NVFP4 keeps a factor of the whole output there. */
    private static final String OUTPUT_FACTOR = "output.scale";

    private GgufLogits() {}

    /**
     * How logits are made.
     *
     * @param columns D
     * @param bias the tensor that is added, or {@code null}
     */
    static Logits read(GgufMetadata metadata, Map<String, GgufTensor> tensors, long columns, String bias) {
        String architecture = metadata.text("general.architecture").orElse("");
        String scaleKey = architecture + "." + SCALE;
        String capKey = architecture + "." + CAP;
        double given = metadata.isNumber(scaleKey) ? metadata.number(scaleKey).orElse(0) : 0;
        double scale = given != 0 && MULTIPLY.contains(architecture)
                ? given
                : given != 0 && DIVIDE.contains(architecture)
                        ? 1 / given
                        : architecture.equals("minicpm3") ? BASE_OF_MINICPM3 / columns : 1;
        double cap = metadata.isNumber(capKey)
                ? metadata.number(capKey).orElse(0)
                : architecture.equals("gemma2") ? CAP_OF_GEMMA2 : 0;
        String unknown = null;
        if (!(scale > 0 && scale <= Float.MAX_VALUE && cap >= 0 && cap <= Float.MAX_VALUE)) {
            return new Logits(1, bias, 0, "its metadata scale the logits by " + scale + " and cap them at " + cap);
        } else if (given != 0 && given != 1 && !MULTIPLY.contains(architecture) && !DIVIDE.contains(architecture)) {
            unknown = "it says " + Wording.quoted(scaleKey) + ": " + given + ", and how the architecture "
                    + Wording.quoted(architecture) + " uses that is not known here";
        } else if (given == 0 && ALWAYS_SCALE.contains(architecture)) {
            unknown = "the architecture " + Wording.quoted(architecture)
                    + " scales its logits, and the file does not say by how much";
        } else if (tensors.containsKey(OUTPUT_FACTOR)) {
            unknown = "the tensor " + Wording.quoted(OUTPUT_FACTOR) + " scales its logits, which is not known here";
        } else if (scale != 1 && bias != null) {
            unknown = "its logits are multiplied by " + scale + ", and whether that includes the bias "
                    + Wording.quoted(bias) + " is not known here";
        } else {
            unknown = metadata.keys().stream()
                    .filter(key -> !key.equals(scaleKey) && !key.equals(capKey) && mayMatter(metadata, key))
                    .findFirst()
                    .map(key -> "it says " + Wording.quoted(key) + ": "
                            + metadata.number(key).orElse(0)
                            + ", which may change the logits and is not known here")
                    .orElse(null);
        }
        return new Logits(scale, bias, cap, unknown);
    }

    private static boolean mayMatter(GgufMetadata metadata, String key) {
        if (!key.contains("logit") || HARMLESS.matcher(key).matches() || !metadata.isNumber(key)) {
            return false;
        }
        double value = metadata.number(key).orElse(0);
        return value != 0 && value != 1;
    }
}
