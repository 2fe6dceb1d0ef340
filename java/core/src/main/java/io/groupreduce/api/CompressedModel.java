package io.groupreduce.api;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.CompressedMatrix;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * A compressed file, as {@link io.groupreduce.GroupReduce#openCompressed} opens it. It stays mapped until {@link #close}, and its matrices
 * must not be used afterwards; any number of threads may read.
 */
public interface CompressedModel extends AutoCloseable {
    /** The file. */
    Path path();

    /** The compressed matrices by tensor name. */
    Map<String, CompressedMatrix> matrices();

    /**
     * The compressed matrix of this name; a tied name finds the one that stands for it.
     *
     * @throws InvalidDataException if there is none; the message lists what there is
     */
    CompressedMatrix require(String name);

    /**
     * The matrix of the softmax: the only one there is, or the one whose name, or a name tied to it, is that of an output; where no
     * output is stored, compressed or not, the embedding.
     *
     * @throws InvalidDataException if that does not leave exactly one; the message lists what there is
     */
    CompressedMatrix outputMatrix();

    /**
     * The matrix of the embedding: the only one there is, or the one whose name, or a name tied to it, is that of an embedding; where
     * no embedding is stored, compressed or not, the output.
     *
     * @throws InvalidDataException if that does not leave exactly one; the message lists what there is
     */
    CompressedMatrix embeddingMatrix();

    /**
     * What is added to the logits of a compressed matrix, length N: a bias of its own, else the model's among the copied tensors.
     *
     * @throws InvalidDataException if there is no such matrix
     */
    Optional<float[]> softmaxBias(String name);

    /**
     * What the file says about a compressed matrix: method, options, sizes, losses, as numbers, texts, lists and maps. Shape, groups and
     * bases were checked against the tensors; everything else is as it was found.
     *
     * @throws InvalidDataException if there is no such matrix
     */
    Map<String, Object> provenance(String name);

    /** Unmaps the file; may be called again. */
    @Override
    void close();
}
