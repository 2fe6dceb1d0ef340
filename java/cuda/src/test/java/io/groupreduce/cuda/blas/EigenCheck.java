package io.groupreduce.cuda.blas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Symmetric matrices of one order on their way through a {@link CudaTruncatedEigen}, and what came back. */
final class EigenCheck {
    private final int order;
    private final List<double[]> matrices = new ArrayList<>();
    private final List<double[]> spectra = new ArrayList<>();
    private final List<Integer> ranks = new ArrayList<>();
    private List<double[]> values;
    private double[] vectors;

    EigenCheck(int order) {
        this.order = order;
    }

    /** Adds a matrix with these eigenvalues, in any order. */
    EigenCheck add(double[] spectrum, int rank) {
        return add(spectrum, rank, true);
    }

    /** The same; its eigenvectors are the axes unless {@code turned}. */
    EigenCheck add(double[] spectrum, int rank, boolean turned) {
        matrices.add(Columns.withSpectrum(spectrum, turned, 17 + matrices.size()));
        double[] sorted = spectrum.clone();
        Arrays.sort(sorted);
        double[] descending = new double[order];
        Arrays.setAll(descending, j -> sorted[order - 1 - j]);
        spectra.add(descending);
        ranks.add(rank);
        return this;
    }

    /** Only lower triangles go to the device. */
    EigenCheck solve(Device device, CudaTruncatedEigen eigen) {
        int size = order * order;
        double[] grams = new double[size * matrices.size()];
        for (int b = 0; b < matrices.size(); b++) {
            for (int j = 0; j < order; j++) {
                for (int i = 0; i < order; i++) {
                    grams[b * size + i + j * order] = i >= j ? matrices.get(b)[i + j * order] : 1e30;
                }
            }
        }
        try (DeviceMemory source = Columns.upload(device, grams);
                DeviceMemory target = device.allocate(source.bytes(), "a test")) {
            device.stream().clear(target.address(), target.bytes());
            int[] wanted = ranks.stream().mapToInt(Integer::intValue).toArray();
            values = eigen.leading(source.address(), order, wanted, target.address());
            vectors = Columns.download(device, target);
        }
        return this;
    }

    double[] vectors() {
        return vectors;
    }

    List<double[]> values() {
        return values;
    }

    /**
     * Checks values, orthonormality, and that the vectors capture what the leading ones can; signs and the choice among
     * equal values are free.
     *
     * @param tolerance of values and captured energy, relative to the sum of the spectrum's magnitudes
     */
    void check(double tolerance) {
        assertEquals(matrices.size(), values.size());
        for (int b = 0; b < matrices.size(); b++) {
            String what = "matrix " + b + " of order " + order;
            int rank = ranks.get(b);
            double scale = Math.max(
                    1e-300, Arrays.stream(spectra.get(b)).map(Math::abs).sum());
            assertEquals(rank, values.get(b).length, what);
            double captured = 0;
            double possible = 0;
            for (int j = 0; j < rank; j++) {
                assertEquals(spectra.get(b)[j], values.get(b)[j], tolerance * scale, what + ", value " + j);
                assertTrue(j == 0 || values.get(b)[j] <= values.get(b)[j - 1], what + " descends at " + j);
                captured += rayleigh(b, j);
                possible += spectra.get(b)[j];
                assertEquals(values.get(b)[j], rayleigh(b, j), 1e-12 * scale, what + ", vector of value " + j);
            }
            assertEquals(possible, captured, tolerance * scale, what + ", captured energy");
            assertOrthonormal(b, rank, what);
        }
    }

    private double rayleigh(int b, int j) {
        double[] a = matrices.get(b);
        double sum = 0;
        for (int x = 0; x < order; x++) {
            double row = 0;
            for (int y = 0; y < order; y++) {
                row += a[x * order + y] * at(b, j, y);
            }
            sum += row * at(b, j, x);
        }
        return sum;
    }

    private void assertOrthonormal(int b, int rank, String what) {
        for (int i = 0; i < rank; i++) {
            for (int j = 0; j <= i; j++) {
                double product = 0;
                for (int x = 0; x < order; x++) {
                    product += at(b, i, x) * at(b, j, x);
                }
                assertEquals(i == j ? 1 : 0, product, 1e-11, what + ", vectors " + i + " and " + j);
            }
        }
    }

    private double at(int b, int j, int x) {
        return vectors[b * order * order + j * order + x];
    }
}
