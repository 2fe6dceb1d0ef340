package io.groupreduce.format;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The vocabulary of a model of another format. What else the model holds stays in its file: a compressed file has the compressed
 * matrices and their biases alone, and {@code export} puts them back in the model.
 */
public interface ForeignModel extends AutoCloseable {
    /** The format, by the word that {@code export --to} knows it by. */
    String form();

    /**
     * Matrices of the vocabulary as N x D, whichever way round they are stored, and what is added to logits, in a type that can be compressed;
     * beside them, by name and shape, whatever else a user may name.
     */
    Map<String, Tensor> tensors();

    /** The file that holds a tensor. */
    Path fileOf(String tensor);

    /** The matrices of the vocabulary and what is known of them, in the order of {@link #tensors}. */
    List<VocabularyMatrix> vocabulary();

    /** How logits come of a matrix that hidden states meet. */
    Logits logits(String tensor);

    /** Why hidden states meet no matrix of the model, without a full stop; empty if they meet one. */
    Optional<String> withoutOutput();

    /** What the user should know, one sentence each. */
    List<String> notes();

    /** Unmaps all files; may be called again. */
    @Override
    void close();
}
