package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What a {@code config.json} says of the logits: factors, a soft cap, and what cannot be computed. A key that is not known but is named
 * like one of these counts as the last: a factor that is passed over makes every figure wrong.
 */
final class LogitsConfig {
    /** Logits are multiplied by these. */
    private static final Set<String> FACTORS = Set.of(
            "logit_scale", // Cohere, MPT
            "lm_head_multiplier", // Falcon-H1
            "output_multiplier_scale", // Grok
            "output_logits_scale",
            "width_scale", // Jais
            "mup_output_alpha", // BTLM, Jais
            "mup_width_scale");

    /** Logits are divided by these. */
    private static final Set<String> DIVISORS = Set.of(
            "logits_scaling", // Granite
            "mup_width_multiplier"); // Phi-3-small

    /** These multiply by {@code logits_scaling}, by which Granite divides. */
    private static final Set<String> MULTIPLYING = Set.of("hyperclovax");

    /** Where the embedding is the output as well, these multiply states by D^-0.5 before it. */
    private static final Set<String> SCALED_WHEN_TIED =
            Set.of("t5", "mt5", "umt5", "longt5", "switch_transformers", "pop2piano", "udop");

    private static final Pattern CAP = Pattern.compile("(?:final_|output_|lm_head_)?logits?_?soft_?cap(?:ping)?");

    private static final Pattern SUSPICIOUS = Pattern.compile(".*(?:logit|soft_?cap|norm_?head|head_?norm"
            + "|lm_head.*(?:scal|mult|alpha)|(?:output|unembed).*(?:multiplier|scal|alpha)|mup.*(?:output|width)).*");

    /** Of attention, routers, heads of other kinds, losses and generation; factors of attention's outputs. */
    private static final Pattern HARMLESS = Pattern.compile(".*(?:attn|attention|rout|gate|expert|moe|init|keep|bias"
            + "|loss|return|output_logits|dropout|class|mlp|ffn|residual|vision|audio|image|hidden_output).*");

    /** Baichuan's first models have this vocabulary and a plain output; the rows of later ones are normalised. */
    private static final int BAICHUAN_PLAIN = 64_000;

    private final ModelConfig config;

    private LogitsConfig(ModelConfig config) {
        this.config = config;
    }

    /**
     * The logits of a matrix.
     *
     * @param columns D
     * @param shared whether it is the embedding as well
     * @param bias the tensor that is added, or {@code null}
     */
    static Logits read(ModelConfig config, long columns, boolean shared, String bias) {
        LogitsConfig reader = new LogitsConfig(config);
        double factors = reader.factors();
        double scale = factors * reader.beforeTheMatrix(columns, shared);
        if (!(scale > 0 && scale <= Float.MAX_VALUE)) {
            return new Logits(1, bias, 0, "config.json multiplies the logits by " + scale);
        }
        if (factors != 1 && bias != null) {
            String both = "config.json multiplies the logits by " + factors + ", and whether that includes the bias "
                    + Wording.quoted(bias) + " is not known here";
            return new Logits(scale, bias, 0, both);
        }
        return new Logits(scale, bias, reader.cap(), reader.unknown());
    }

    private double factors() {
        double scale = 1;
        boolean multiplies = MULTIPLYING.contains(text("model_type"));
        for (String key : config.keys()) {
            if (!isNumber(key)) {
                continue;
            }
            double number = config.value(key).asDouble();
            if (DIVISORS.contains(key) && !(multiplies && key.equals("logits_scaling"))) {
                scale /= number;
            } else if (DIVISORS.contains(key)
                    || FACTORS.contains(key) && !(key.startsWith("mup_") && isNumber("width_scale"))) {
                scale *= number;
            }
        }
        return scale;
    }

    /** Factors of the hidden states on their way into the matrix, and those that are a function of D. */
    private double beforeTheMatrix(long columns, boolean shared) {
        double scale = 1;
        if (isNumber("dim_model_base")) { // MiniCPM
            scale = config.value("dim_model_base").asDouble() / columns;
        }
        JsonNode scaled = config.value("scale_decoder_outputs");
        JsonNode tied = config.value("tie_word_embeddings");
        boolean whenTied =
                SCALED_WHEN_TIED.contains(text("model_type")) && (tied.isBoolean() ? tied.asBoolean() : shared);
        boolean byRoot = (scaled.isBoolean() ? scaled.asBoolean() : whenTied)
                || text("logit_scale").equals("inv_sqrt_d_model") // MPT
                || config.value("scale_logits").asBoolean(false); // OLMo, LLaDA
        return byRoot ? scale / Math.sqrt(columns) : scale;
    }

    private double cap() {
        return config.keys().stream()
                .filter(key -> CAP.matcher(key).matches() && isNumber(key))
                .mapToDouble(key -> config.value(key).asDouble())
                .filter(cap -> cap > 0)
                .findFirst()
                .orElse(0);
    }

    /** The first thing that changes the logits and is not one of the above; {@code null} for nothing. */
    private String unknown() {
        if (text("model_type").startsWith("baichuan")
                && config.value("vocab_size").asInt(BAICHUAN_PLAIN) != BAICHUAN_PLAIN) {
            return "the rows of its output are normalised before they meet a state, as Baichuan2 does (NormHead)";
        }
        return config.keys().stream()
                .filter(this::mayMatter)
                .findFirst()
                .map(key -> "config.json says " + Wording.quoted(key) + ": "
                        + Wording.line(config.value(key).toString())
                        + ", which may change the logits and is not known here")
                .orElse(null);
    }

    private boolean mayMatter(String key) {
        String name = key.toLowerCase(Locale.ROOT);
        boolean known = FACTORS.contains(key) || DIVISORS.contains(key) || key.equals("scale_logits");
        JsonNode value = config.value(key);
        if (known) {
            // A text where a number is needed, other than the one that is known.
            return value.isTextual() && !value.asText().equals("inv_sqrt_d_model");
        }
        boolean changes = isNumber(key) && value.asDouble() != 1 && value.asDouble() != 0
                || value.asBoolean(false) && name.matches(".*(?:norm|scal).*");
        return changes
                && !CAP.matcher(key).matches()
                && SUSPICIOUS.matcher(name).matches()
                && !HARMLESS.matcher(name).matches();
    }

    private boolean isNumber(String key) {
        return config.value(key).isNumber();
    }

    /** Lower case; empty for what is no text. */
    private String text(String key) {
        return config.value(key).asText("").toLowerCase(Locale.ROOT);
    }
}
