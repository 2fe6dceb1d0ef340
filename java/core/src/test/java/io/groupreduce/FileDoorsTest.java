package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.CompressedModel;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.ModelFile;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Matrix;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models and compressed files as callers see them. */
class FileDoorsTest {
    private static final int ROWS = 600;
    private static final int COLUMNS = HeadFixture.COLUMNS;

    @TempDir
    Path directory;

    private Path model() {
        Path file = directory.resolve("model.safetensors");
        float[] values = SeededData.powerLaw(1, ROWS, COLUMNS, 0.5);
        SafetensorsWriter.write(file, List.of(HeadFixture.tensor(HeadFixture.NAME, values, ROWS, COLUMNS)), Map.of());
        return file;
    }

    @Test
    void aModelGivesMatricesAndWhatMeetsThem() {
        Path hidden = directory.resolve("hidden.safetensors");
        SafetensorsWriter.write(
                hidden, List.of(HeadFixture.tensor("hidden", HeadFixture.hidden(2), 2, COLUMNS)), Map.of());
        SoftmaxData softmax;
        Matrix matrix;
        try (ModelFile model = GroupReduce.openModel(model())) {
            assertEquals(List.of(HeadFixture.NAME), model.matrices());
            assertEquals(HeadFixture.NAME, model.outputMatrix());
            matrix = model.matrix(HeadFixture.NAME);
            assertEquals(ROWS, matrix.rows());
            softmax = model.softmax(HeadFixture.NAME, hidden);
            assertEquals(2, softmax.hidden().rows());
            assertThrows(InvalidDataException.class, () -> model.matrix("x"));
        }
        assertFalse(matrix.data().scope().isAlive()
                || softmax.hidden().data().scope().isAlive());
    }

    @Test
    void aCompressedFileTellsWhereItsMatricesComeFromInPlainJava() {
        Path output = directory.resolve("small.safetensors");
        CompressionJob job = CompressionJob.of(model(), output)
                .withOptions(CompressionOptions.paper().withMethod(Method.SVD));
        GroupReduce.compress(job, new ReferenceBackend(), Progress.NONE, tell -> {});
        try (CompressedModel small = GroupReduce.openCompressed(output)) {
            assertEquals(small.outputMatrix(), small.require(HeadFixture.NAME));
            Map<String, Object> provenance = small.provenance(HeadFixture.NAME);
            assertEquals("svd", provenance.get("method"));
            assertEquals(List.of(ROWS, COLUMNS), provenance.get("shape"));
            assertTrue(provenance.get("options") instanceof Map);
            assertThrows(InvalidDataException.class, () -> small.provenance("x"));
        }
    }

    @Test
    void aModelOfSomebodyElseIsRefused() {
        ModelFile foreign = (ModelFile) Proxy.newProxyInstance(
                ModelFile.class.getClassLoader(),
                new Class<?>[] {ModelFile.class},
                (proxy, method, given) -> Path.of("mine"));
        InvalidOptionException e = assertThrows(
                InvalidOptionException.class,
                () -> GroupReduce.evaluate(
                        new ReferenceBackend(), foreign, HeadFixture.NAME, HeadFixture.matrix("a", 1), null));
        assertEquals("The model mine cannot be read; take one from GroupReduce.openModel.", e.getMessage());
    }
}
