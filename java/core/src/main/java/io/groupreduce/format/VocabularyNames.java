package io.groupreduce.format;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** The names that common model families give to their embedding and output matrices. */
final class VocabularyNames {
    private static final List<String> EMBEDDING = List.of(
            "embedding.weight",
            "embeddings.weight",
            "embed_tokens.weight",
            "wte.weight",
            "tok_embeddings.weight",
            "token_embedding.weight",
            "token_embeddings.weight",
            "word_embedding.weight",
            "word_embeddings.weight",
            "embed_in.weight",
            "shared.weight",
            "token_embd.weight",
            "encoder.weight",
            "emb.weight");

    private static final List<String> OUTPUT = List.of(
            "softmax.weight",
            "lm_head.weight",
            "output.weight",
            "decoder.weight",
            "embed_out.weight",
            "output_projection.weight",
            "head.weight");

    /** {@code layers.7.output.weight} belongs to a layer: what stands once for the vocabulary has no number in its name. */
    private static final Pattern IN_LAYER = Pattern.compile("(?:^|\\.)[0-9]+(?:\\.|$)");

    private VocabularyNames() {}

    /** The role a tensor's name tells, if it tells one. */
    static Optional<Model.Role> role(String tensor) {
        if (IN_LAYER.matcher(tensor).find()) {
            return Optional.empty();
        }
        if (endsWithOne(tensor, EMBEDDING)) {
            return Optional.of(Model.Role.EMBEDDING);
        }
        return endsWithOne(tensor, OUTPUT) ? Optional.of(Model.Role.OUTPUT) : Optional.empty();
    }

    /** Whether a tensor's name tells this role. */
    static boolean tells(String tensor, Model.Role role) {
        return role(tensor).filter(role::equals).isPresent();
    }

    private static boolean endsWithOne(String tensor, List<String> names) {
        return names.stream().anyMatch(name -> tensor.equals(name) || tensor.endsWith("." + name));
    }
}
