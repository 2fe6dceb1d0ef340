package io.groupreduce.models.gguf;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.api.Threads;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.format.OutputFile;
import io.groupreduce.format.VocabularyMatrix;
import io.groupreduce.format.Wording;
import io.groupreduce.internal.check.ChanceCheck;
import io.groupreduce.internal.check.SoftmaxChecks;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.models.rounding.MetricRounding;
import io.groupreduce.spi.ComputeBackend;
import java.nio.file.Path;
import java.util.List;

/** Where the rows come from that are rounded: a model of any format that is read, or a compressed file. */
final class RowSource implements AutoCloseable {
    /** A matrix. */
    record Rows(String name, int rows, int columns, MetricRounding.Rows reader) {}

    private final Model model;
    private final CompressedFile compressed;

    private RowSource(Model model, CompressedFile compressed) {
        this.model = model;
        this.compressed = compressed;
    }

    static RowSource open(Path input, VocabularyChoice choice) {
        Model model = Model.open(input, choice);
        try {
            return new RowSource(model, model.isCompressed() ? CompressedFile.open(input) : null);
        } catch (Throwable e) {
            model.close();
            throw e;
        }
    }

    Path path() {
        return model.path();
    }

    List<Path> files() {
        return OutputFile.filesOf(model);
    }

    boolean isCompressed() {
        return compressed != null;
    }

    /** The matrix that makes logits, or the one that tokens are looked up in. */
    Rows find(boolean output) {
        if (compressed != null) {
            CompressedMatrix matrix = output ? compressed.outputMatrix() : compressed.embeddingMatrix();
            return new Rows(matrix.name(), matrix.rows(), matrix.columns(), matrix::decodeRows);
        }
        String name = output ? model.outputMatrix() : embedding();
        Matrix matrix = model.matrix(name);
        return new Rows(name, matrix.rows(), matrix.columns(), matrix::readRows);
    }

    private String embedding() {
        List<VocabularyMatrix> taken =
                model.vocabulary().stream().filter(VocabularyMatrix::taken).toList();
        return taken.stream()
                .filter(found -> found.role() == Model.Role.EMBEDDING)
                .findFirst()
                .or(() ->
                        taken.stream().filter(VocabularyMatrix::servesAsOutput).findFirst())
                .orElseThrow(() -> new InvalidDataException(
                        Wording.file(path()) + " has no matrix of an embedding; name one with --input-tensor."))
                .tensor()
                .name();
    }

    /** The states that meet the output; of a compressed file without its factor of the logits, of which only the direction matters. */
    SoftmaxData softmax(HiddenStates hidden) {
        return compressed == null
                ? model.softmax(model.outputMatrix(), hidden)
                : new SoftmaxData(hidden.hidden(), hidden.targets(), null);
    }

    /**
     * What a model's metadata say of its logits is held against the tokens that followed, where they are known.
     *
     * @throws InvalidDataException if the softmax guesses them worse than chance
     */
    void requireSense(SoftmaxData softmax) {
        if (softmax.targets() == null || compressed != null) {
            return;
        }
        Matrix matrix = model.matrix(model.outputMatrix());
        SoftmaxChecks.require(softmax, matrix, CompressionOptions.defaults());
        try (Backend backend =
                BackendSelection.select(Device.AUTO, Threads.calling()).backend()) {
            ChanceCheck.require(ComputeBackend.of(backend), matrix, softmax, List.of());
        }
    }

    @Override
    public void close() {
        if (compressed != null) {
            compressed.close();
        }
        model.close();
    }
}
