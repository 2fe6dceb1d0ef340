package io.groupreduce.api;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.List;

/**
 * A model on disk, as {@link io.groupreduce.GroupReduce#openModel} opens it: one safetensors file, a model directory with one or several, or
 * a NumPy matrix. Its files stay mapped until {@link #close}, and what it gave must not be used afterwards; any number of threads may
 * read.
 */
public interface ModelFile extends AutoCloseable {
    /** The input as it was named: a file or a directory. */
    Path path();

    /** The names of the embedding and output matrices that can be compressed, embeddings first; what repeats another is left out. */
    List<String> matrices();

    /**
     * The name of the matrix that hidden states meet.
     *
     * @throws InvalidDataException if several could be, or none
     */
    String outputMatrix();

    /**
     * A matrix, N x D, which shares the file's bytes.
     *
     * @throws InvalidDataException if there is no tensor of that name, or it is no matrix of F32, F16 or BF16
     */
    Matrix matrix(String tensor);

    /**
     * The softmax that a matrix serves, on hidden states: the factor of the model's logits is in the states.
     *
     * @param hidden a safetensors file with {@code hidden} [T, D] and maybe {@code targets} [T]
     * @throws FileAccessException if the file is missing or unreadable
     * @throws MalformedFileException if it is no well-formed safetensors file
     * @throws InvalidDataException if the model's logits cannot be computed, or a tensor is missing or of the wrong type or shape
     */
    SoftmaxData softmax(String tensor, Path hidden);

    /** Unmaps all files; may be called again. */
    @Override
    void close();
}
