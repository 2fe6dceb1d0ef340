package io.groupreduce.cli.report;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * What an evaluation knows of a model.
 *
 * @param file what was judged, as it was named
 * @param reference what it was judged against
 * @param baseModel the reference's name on a model hub, if it is known
 * @param softmax the compressed matrix that was judged as a softmax, if one was
 * @param embedding the compressed matrix whose rows were looked up, if one's were; empty too where a whole ONNX model was run
 * @param sections what was compressed, then what was measured
 * @param limits what these figures do not say, one sentence each
 */
public record EvaluatedModel(
        String file,
        String reference,
        Optional<String> baseModel,
        Optional<String> softmax,
        Optional<String> embedding,
        List<Section> sections,
        List<String> limits) {
    public EvaluatedModel {
        Objects.requireNonNull(file, "file");
        Objects.requireNonNull(reference, "reference");
        sections = List.copyOf(sections);
        limits = List.copyOf(limits);
    }

    /** The last part of the file's path. */
    String fileName() {
        return lastOf(file);
    }

    /** The last part of a path. */
    static String lastOf(String path) {
        return Path.of(path).getFileName().toString();
    }
}
