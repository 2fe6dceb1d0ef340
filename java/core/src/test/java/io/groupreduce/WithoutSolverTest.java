package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Progress;
import io.groupreduce.error.DeviceException;
import io.groupreduce.matrix.Matrix;
import java.io.File;
import java.lang.foreign.Arena;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A program that only asks heads and tables has no eigensolver on its class path. */
class WithoutSolverTest {
    private static final String ONE_SENTENCE =
            "Compressing needs the eigensolver of ojAlgo, which is not there; add the"
                    + " artifact org.ojalgo:ojalgo (module ojalgo) to the program.";

    @Test
    @SuppressWarnings("unchecked")
    void headsAndTablesAnswerAndACompressionSaysWhatToAdd(@TempDir Path directory) throws Exception {
        Path file = HeadFixture.write(directory.resolve("model.safetensors"));
        List<URL> classes = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (!entry.contains("ojalgo")) {
                classes.add(Path.of(entry).toUri().toURL());
            }
        }
        try (URLClassLoader loader =
                new URLClassLoader(classes.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
            Function<Path, List<String>> program =
                    (Function<Path, List<String>>) loader.loadClass(Program.class.getName())
                            .getDeclaredConstructor()
                            .newInstance();
            assertEquals(List.of("7", "3", ONE_SENTENCE, ONE_SENTENCE, ONE_SENTENCE), program.apply(file));
        }
    }

    /** Loaded once more, by a class loader that lacks the solver. */
    public static final class Program implements Function<Path, List<String>> {
        @Override
        public List<String> apply(Path file) {
            List<String> said = new ArrayList<>();
            HeadOptions options = HeadOptions.defaults().withDevice(Device.REFERENCE);
            try (SoftmaxHead head = SoftmaxHead.open(file, options);
                    EmbeddingTable table = EmbeddingTable.open(file, options);
                    Arena arena = Arena.ofShared()) {
                said.add(String.valueOf(head.greedy(States.of(HeadFixture.hidden(1)))[0]));
                said.add(String.valueOf(table.rows(new int[] {1, 2, 3}).length / HeadFixture.COLUMNS));
                var backend = BackendSelection.select(Device.REFERENCE, 1).backend();
                Matrix matrix = Matrix.of("a", new float[400], 40, 10);
                CompressionOptions how = CompressionOptions.defaults();
                said.add(refused(() -> GroupReduce.compress(backend, matrix, null, null, how, arena, Progress.NONE)));
                said.add(refused(() -> GroupReduce.errorCurve(backend, matrix, null, how, new double[] {2})));
                CompressionJob job = CompressionJob.of(file, file.resolveSibling("out.safetensors"));
                said.add(refused(() -> GroupReduce.compress(job, backend, Progress.NONE, tell -> {})));
            }
            return said;
        }

        private static String refused(Runnable work) {
            return assertThrows(DeviceException.class, work::run).getMessage();
        }
    }
}
