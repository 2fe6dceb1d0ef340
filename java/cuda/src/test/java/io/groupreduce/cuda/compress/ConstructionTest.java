package io.groupreduce.cuda.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionProblem;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A workspace whose construction fails with an error of the virtual machine leaves nothing behind. */
class ConstructionTest {
    private static final String KERNELS = "groupreduce.cuda.kernels";
    private static final int ROWS = 30;
    private static final int COLUMNS = 4;

    @Test
    @Tag("emulated")
    void anErrorHalfWayLeavesNothingOnTheCard(@TempDir Path folder) throws IOException {
        CudaLibraries libraries = TestDevice.libraries();
        // No array holds a file of this length, which is what the first kernel is looked for in.
        try (RandomAccessFile file =
                new RandomAccessFile(folder.resolve("long.fatbin").toFile(), "rw")) {
            file.setLength(1L << 32);
        }
        Files.writeString(folder.resolve("kernels.list"), "long.fatbin\n");
        double[] root = new double[COLUMNS * COLUMNS];
        float[] weights = new float[ROWS];
        Arrays.fill(weights, 1);
        for (int j = 0; j < COLUMNS; j++) {
            root[j * COLUMNS + j] = 1;
        }
        String before = System.setProperty(KERNELS, folder.toString());
        try (Arena arena = Arena.ofShared();
                Device device = Device.open(libraries, 0)) {
            Matrix matrix = Matrix.of("a", DType.F32, ROWS, COLUMNS, arena.allocate(4L * ROWS * COLUMNS, 4));
            CompressionProblem problem = new CompressionProblem(matrix, weights, weights, root, root);
            Cublas blas = device.call(() -> new Cublas(device));
            long open = device.openAllocations();
            OutOfMemoryError error = assertThrows(
                    OutOfMemoryError.class, () -> device.call(() -> new CudaWorkspace(device, blas, problem)));
            assertEquals(0, error.getSuppressed().length);
            assertEquals(open, device.openAllocations());
            blas.close();
            assertTrue(open > device.openAllocations());
        } finally {
            System.setProperty(KERNELS, before);
        }
    }
}
