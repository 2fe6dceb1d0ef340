package io.groupreduce.cuda.blas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.error.DeviceException;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import jcuda.jcublas.cublasStatus;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("gpu")
class CublasTest {
    private static final int[][] SIZES = {{1, 1, 1}, {3, 5, 7}, {17, 4, 33}, {64, 31, 1}, {5, 70, 16}};
    private static final boolean[] BOTH = {false, true};
    private final Device device = TestDevice.open();

    @AfterEach
    void nothingLeaked() {
        TestDevice.assertNothingLeaked();
    }

    private static void forEachProduct(int batch, Consumer<Product> test) {
        for (int[] sizes : SIZES) {
            for (boolean transA : BOTH) {
                for (boolean transB : BOTH) {
                    for (double beta : new double[] {0, 1, -0.5}) {
                        test.accept(new Product(transA, transB, sizes, beta, batch));
                    }
                }
            }
        }
    }

    @Test
    void productsInDouble() {
        device.run(() -> {
            try (Cublas blas = new Cublas(device)) {
                forEachProduct(1, x -> {
                    try (DeviceMemory a = Columns.upload(device, x.a);
                            DeviceMemory b = Columns.upload(device, x.b);
                            DeviceMemory c = Columns.upload(device, x.c)) {
                        blas.dgemm(
                                x.m,
                                x.n,
                                x.k,
                                x.alpha,
                                new Operand(a.address(), x.lda, x.transA),
                                new Operand(b.address(), x.ldb, x.transB),
                                x.beta,
                                Operand.of(c.address(), x.ldc));
                        x.check(Columns.download(device, c), 1e-15, 1);
                    }
                });
            }
        });
    }

    @Test
    void productsInSingle() {
        device.run(() -> {
            try (Cublas blas = new Cublas(device)) {
                forEachProduct(1, x -> {
                    try (DeviceMemory a = Columns.upload(device, Columns.singles(x.a));
                            DeviceMemory b = Columns.upload(device, Columns.singles(x.b));
                            DeviceMemory c = Columns.upload(device, Columns.singles(x.c))) {
                        blas.sgemm(
                                x.m,
                                x.n,
                                x.k,
                                (float) x.alpha,
                                new Operand(a.address(), x.lda, x.transA),
                                new Operand(b.address(), x.ldb, x.transB),
                                (float) x.beta,
                                Operand.of(c.address(), x.ldc));
                        x.check(doubles(Columns.downloadSingles(device, c)), 3e-7, 1);
                    }
                });
            }
        });
    }

    @Test
    void productsOfBfloat16AreSummedInSingle() {
        device.run(() -> {
            try (Cublas blas = new Cublas(device)) {
                forEachProduct(1, x -> {
                    try (DeviceMemory a = uploadBf16(x.a);
                            DeviceMemory b = uploadBf16(x.b);
                            DeviceMemory c = Columns.upload(device, Columns.singles(x.c))) {
                        blas.gemmBf16(
                                x.m,
                                x.n,
                                x.k,
                                (float) x.alpha,
                                new Operand(a.address(), x.lda, x.transA),
                                new Operand(b.address(), x.ldb, x.transB),
                                (float) x.beta,
                                Operand.of(c.address(), x.ldc));
                        x.check(doubles(Columns.downloadSingles(device, c)), 3e-7, 1);
                    }
                });
            }
        });
    }

    @Test
    void productsOfBatchesByAddress() {
        device.run(() -> {
            try (Cublas blas = new Cublas(device)) {
                forEachProduct(2, x -> {
                    try (DeviceMemory a = Columns.upload(device, x.a);
                            DeviceMemory b = Columns.upload(device, x.b);
                            DeviceMemory c = Columns.upload(device, x.c);
                            DeviceMemory tableA = addresses(a, x.strideA());
                            DeviceMemory tableB = addresses(b, x.strideB());
                            DeviceMemory tableC = addresses(c, x.strideC())) {
                        blas.dgemmBatched(
                                x.m,
                                x.n,
                                x.k,
                                x.alpha,
                                new Operand(tableA.address(), x.lda, x.transA),
                                new Operand(tableB.address(), x.ldb, x.transB),
                                x.beta,
                                Operand.of(tableC.address(), x.ldc),
                                2);
                        x.check(Columns.download(device, c), 1e-15, 2);
                    }
                });
            }
        });
    }

    @Test
    void symmetricProductsWriteTheLowerTriangle() {
        device.run(() -> {
            try (Cublas blas = new Cublas(device)) {
                for (boolean single : BOTH) {
                    for (boolean trans : BOTH) {
                        symmetricProduct(blas, single, trans, 9, 21);
                    }
                }
            }
        });
    }

    private void symmetricProduct(Cublas blas, boolean single, boolean trans, int n, int k) {
        Product x = new Product(trans, !trans, new int[] {n, n, k}, 0.5, 1);
        try (DeviceMemory a = single ? Columns.upload(device, Columns.singles(x.a)) : Columns.upload(device, x.a);
                DeviceMemory c = single ? Columns.upload(device, Columns.singles(x.c)) : Columns.upload(device, x.c)) {
            double[] result;
            if (single) {
                blas.ssyrk(n, k, 1.5f, new Operand(a.address(), x.lda, trans), 0.5f, Operand.of(c.address(), x.ldc));
                result = doubles(Columns.downloadSingles(device, c));
            } else {
                blas.dsyrk(n, k, 1.5, new Operand(a.address(), x.lda, trans), 0.5, Operand.of(c.address(), x.ldc));
                result = Columns.download(device, c);
            }
            for (int j = 0; j < n; j++) {
                for (int i = 0; i < n; i++) {
                    double sum = 0;
                    for (int p = 0; p < k; p++) {
                        sum += x.a[trans ? p + i * x.lda : i + p * x.lda] * x.a[trans ? p + j * x.lda : j + p * x.lda];
                    }
                    double before = x.c[i + j * x.ldc];
                    double expected = i >= j ? 1.5 * sum + 0.5 * before : before;
                    assertEquals(expected, result[i + j * x.ldc], single ? 3e-6 : 1e-13, i + ", " + j);
                }
            }
        }
    }

    @Test
    void triangularSystemsOfBatches() {
        int m = 13;
        int n = 5;
        device.run(() -> {
            double[] l = triangle(n, 5);
            double[] x = Columns.random(new SplittableRandom(6), m * n);
            try (Cublas blas = new Cublas(device);
                    DeviceMemory a = Columns.upload(device, l);
                    DeviceMemory first = Columns.upload(device, x);
                    DeviceMemory second = Columns.upload(device, x);
                    DeviceMemory triangles = Columns.upload(device, a.address(), a.address());
                    DeviceMemory blocks = Columns.upload(device, first.address(), second.address())) {
                blas.solveTransposedBatched(
                        m, n, Operand.of(triangles.address(), n), Operand.of(blocks.address(), m), 2);
                assertSolves(l, Columns.download(device, first), x, m, n);
                assertSolves(l, Columns.download(device, second), x, m, n);
            }
        });
    }

    @Test
    void aBadStatusNamesTheCallItsSizesAndWhatToDo() {
        device.run(() -> {
            try (Cublas blas = new Cublas(device);
                    DeviceMemory a = Columns.upload(device, new double[64])) {
                DeviceException e = assertThrows(
                        DeviceException.class,
                        () -> blas.dgemm(
                                8,
                                4,
                                2,
                                1,
                                Operand.of(a.address(), 7),
                                Operand.of(a.address(), 2),
                                0,
                                Operand.of(a.address(), 8)));
                assertEquals(
                        "cuBLAS failed in cublasDgemm_v2 with CUBLAS_STATUS_INVALID_VALUE (m = 8, n = 4, k = 2,"
                                + " lda = 7, ldb = 2, ldc = 8); report it with these sizes, and use --device cpu"
                                + " meanwhile.",
                        e.getMessage());
            }
        });
    }

    @Test
    void aMissingFunctionIsNamed() {
        NativeLibrary library = new NativeLibrary("cuBLAS", device.libraries().blas(), cublasStatus::stringFor);
        DeviceException e = assertThrows(DeviceException.class, () -> library.function("cublasNoSuchThing", "*handle"));
        assertTrue(e.getMessage().startsWith("cuBLAS lacks the function cublasNoSuchThing; install "), e.getMessage());
    }

    @Test
    void aCallOfTheWrongLengthIsRefusedBeforeTheLibrarySeesIt() {
        NativeLibrary library = new NativeLibrary("cuBLAS", device.libraries().blas(), cublasStatus::stringFor);
        NativeLibrary.Function set = library.function("cublasSetMathMode", "*handle mode");
        assertThrows(IllegalArgumentException.class, () -> set.call(0L));
        assertThrows(IllegalArgumentException.class, () -> set.call(0L, 1, 2));
    }

    @Test
    void closingTwiceIsHarmless() {
        Cublas blas = device.call(() -> new Cublas(device));
        blas.close();
        blas.close();
    }

    @Test
    void closingAfterTheDeviceIsHarmless() {
        Device own = TestDevice.fresh();
        Cublas blas = own.call(() -> new Cublas(own));
        own.close();
        blas.close();
    }

    private static double[] triangle(int n, long seed) {
        double[] l = Columns.random(new SplittableRandom(seed), n * n);
        for (int i = 0; i < n; i++) {
            l[i * n + i] = 2 + i;
            for (int j = i + 1; j < n; j++) {
                l[i + j * n] = Double.NaN;
            }
        }
        return l;
    }

    /** {@code X L^T = B}: L is n x n, X and B are m x n. */
    private static void assertSolves(double[] l, double[] x, double[] b, int m, int n) {
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                double sum = 0;
                for (int p = 0; p <= j; p++) {
                    sum += x[i + p * m] * l[j + p * n];
                }
                assertEquals(b[i + j * m], sum, 1e-12, i + ", " + j);
            }
        }
    }

    private DeviceMemory addresses(DeviceMemory memory, int stride) {
        return Columns.upload(device, memory.address(), memory.address() + (long) stride * Double.BYTES);
    }

    private DeviceMemory uploadBf16(double[] values) {
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (short) (Float.floatToRawIntBits((float) values[i]) >>> 16);
        }
        DeviceMemory memory = device.allocate(2L * bits.length, "a test");
        device.upload(MemorySegment.ofArray(bits), memory, 0);
        return memory;
    }

    private static double[] doubles(float[] values) {
        double[] result = new double[values.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = values[i];
        }
        return result;
    }
}
