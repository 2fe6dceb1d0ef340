package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** What the door refuses before the steps behind it could fail. */
class GroupReduceTest {
    private static final int ROWS = 60;
    private static final int COLUMNS = 6;

    private final ReferenceBackend backend = new ReferenceBackend();

    private static float[] numbers() {
        SplittableRandom random = new SplittableRandom(11);
        float[] values = new float[ROWS * COLUMNS];
        for (int x = 0; x < values.length; x++) {
            values[x] = (float) random.nextDouble(-1, 1);
        }
        return values;
    }

    private CompressedMatrix compress(Matrix matrix, SoftmaxData softmax, Metric metric, Arena arena) {
        CompressionOptions options = CompressionOptions.defaults().withTarget(SizeTarget.bytes(4000));
        return GroupReduce.compress(backend, matrix, null, metric, softmax, options, arena, Progress.NONE)
                .matrix();
    }

    @Test
    void memoryOfOneThreadIsRefused() {
        try (Arena confined = Arena.ofConfined();
                Arena shared = Arena.ofShared()) {
            Matrix ours = Matrix.of(
                    "m",
                    DType.F32,
                    ROWS,
                    COLUMNS,
                    confined.allocate(4L * ROWS * COLUMNS).fill((byte) 1));
            Matrix plain = Matrix.of("m", numbers(), ROWS, COLUMNS);
            assertTrue(assertThrows(InvalidOptionException.class, () -> compress(ours, null, null, shared))
                    .getMessage()
                    .startsWith("m lies in an arena that is confined to one thread"));
            assertTrue(assertThrows(
                            InvalidOptionException.class,
                            () -> compress(plain, new SoftmaxData(ours, null, null), null, shared))
                    .getMessage()
                    .startsWith("m lies in an arena that is confined to one thread"));
            assertTrue(assertThrows(InvalidOptionException.class, () -> compress(plain, null, null, confined))
                    .getMessage()
                    .startsWith("The arena is closed or confined to one thread"));
        }
    }

    @Test
    void memoryThatIsClosedIsRefused() {
        Arena closed = Arena.ofShared();
        Matrix gone = Matrix.of("m", DType.F32, ROWS, COLUMNS, closed.allocate(4L * ROWS * COLUMNS));
        Matrix plain = Matrix.of("m", numbers(), ROWS, COLUMNS);
        closed.close();
        try (Arena arena = Arena.ofShared()) {
            CompressedMatrix small = compress(plain, null, null, arena);
            List<Executable> uses = List.of(
                    () -> compress(gone, null, null, arena),
                    () -> compress(plain, new SoftmaxData(gone, null, null), null, arena),
                    () -> GroupReduce.relativeError(backend, gone, null, 1, small),
                    () -> GroupReduce.evaluate(backend, gone, null, small, plain, null),
                    () -> GroupReduce.evaluate(backend, plain, null, small, gone, null));
            for (Executable use : uses) {
                String message = assertThrows(InvalidDataException.class, use).getMessage();
                assertTrue(message.startsWith("m lies in memory whose arena is closed"), message);
            }
        }
        assertThrows(InvalidOptionException.class, () -> compress(plain, null, null, closed));
    }

    @Test
    void anInputThatIsCutShortInTheMidstOfTheWorkIsNamed(@TempDir Path directory) throws Exception {
        Path model = directory.resolve("m.safetensors");
        Path output = directory.resolve("o.safetensors");
        Tensor softmax =
                new Tensor("softmax.weight", DType.F32, new long[] {ROWS, COLUMNS}, MemorySegment.ofArray(numbers()));
        SafetensorsWriter.write(model, List.of(softmax), Map.of());
        CompressionOptions options = CompressionOptions.defaults().withTarget(SizeTarget.bytes(4000));
        CompressionJob job = CompressionJob.of(model, output).withOptions(options);
        Progress cuts = (step, done) -> {
            try {
                Files.newOutputStream(model, StandardOpenOption.TRUNCATE_EXISTING)
                        .close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        };
        FileAccessException failure =
                assertThrows(FileAccessException.class, () -> GroupReduce.compress(job, backend, cuts, sentence -> {}));
        assertTrue(failure.getMessage().startsWith(model + " was cut from"), failure.getMessage());
        assertFalse(Files.exists(output));
    }

    @Test
    void anErrorOfNumbersThatAreNoneIsRefused() {
        try (Arena arena = Arena.ofShared()) {
            float[] values = numbers();
            CompressedMatrix small = compress(Matrix.of("m", values, ROWS, COLUMNS), null, null, arena);
            values[COLUMNS + 2] = Float.NaN;
            Matrix damaged = Matrix.of("m", values, ROWS, COLUMNS);
            assertEquals(
                    "m holds NaN in row 1, column 2; only finite numbers can be used.",
                    assertThrows(
                                    InvalidDataException.class,
                                    () -> GroupReduce.relativeError(backend, damaged, null, 1, small))
                            .getMessage());
            assertEquals(
                    "m holds NaN in row 1, column 2; only finite numbers can be used.",
                    assertThrows(
                                    InvalidDataException.class,
                                    () -> GroupReduce.errorCurve(
                                            backend, damaged, null, CompressionOptions.paper(), new double[] {2}))
                            .getMessage());
            values[COLUMNS + 2] = 0;
            for (double alpha : new double[] {-1, Double.NaN, Double.POSITIVE_INFINITY}) {
                assertEquals(
                        "Alpha is " + alpha + "; it must be a number of at least 0.",
                        assertThrows(
                                        InvalidOptionException.class,
                                        () -> GroupReduce.relativeError(backend, damaged, null, alpha, small))
                                .getMessage());
            }
        }
    }

    @Test
    void aMetricThatIsNoneIsBlamedItself() {
        double[] none = new double[COLUMNS * COLUMNS];
        assertTrue(assertThrows(InvalidDataException.class, () -> new Metric("the metric", COLUMNS, none))
                .getMessage()
                .startsWith("the metric is zero everywhere"));
        Arrays.fill(none, Double.NaN);
        assertTrue(assertThrows(InvalidDataException.class, () -> new Metric("the metric", COLUMNS, none))
                .getMessage()
                .startsWith("the metric holds NaN"));
        double[] indefinite = new double[COLUMNS * COLUMNS];
        for (int j = 0; j < COLUMNS; j++) {
            indefinite[j * COLUMNS + j] = j == 0 ? -1 : 1;
        }
        Metric metric = new Metric("the metric", COLUMNS, indefinite);
        Matrix matrix = Matrix.of("m", numbers(), ROWS, COLUMNS);
        try (Arena arena = Arena.ofShared()) {
            assertTrue(assertThrows(InvalidDataException.class, () -> compress(matrix, null, metric, arena))
                    .getMessage()
                    .startsWith("the metric is not positive semidefinite"));
        }
    }
}
