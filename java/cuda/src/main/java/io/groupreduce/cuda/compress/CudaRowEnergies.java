package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.driver.WorkMemory;
import java.lang.foreign.MemorySegment;

/**
 * The energy of every row under the metric, computed when it is first asked for and kept, on the card and on the host.
 *
 * <pre>e_i = ||A_i S||^2,   A_i: D numbers, S: D x D or the identity</pre>
 *
 * <p>Bytes: one pass over A, and 8 D more a row with a metric; 4 a row kept. Never materialised: A S beyond a chunk.
 */
final class CudaRowEnergies {
    private static final int THREADS = 256;
    private static final int ROWS_PER_BLOCK = THREADS / 32;

    private final Owned owned;
    private final Cublas blas;
    private final DeviceMatrix matrix;
    private final DeviceMetric metric;
    private final Kernel norms;
    private final WorkMemory transformed;
    private final Parameters parameters = new Parameters(32);
    private DeviceMemory energies;
    private float[] host;

    /** Holds nothing yet. */
    CudaRowEnergies(Owned owned, Cublas blas, DeviceMatrix matrix, DeviceMetric metric) {
        this.owned = owned;
        this.blas = blas;
        this.matrix = matrix;
        this.metric = metric;
        norms = owned.device().kernel("gr_row_norms");
        transformed = owned.work("a chunk of rows under the metric");
    }

    /** The device address of N energies in binary32. */
    long address() {
        host();
        return energies.address();
    }

    /** The same on the host; not to be changed. */
    float[] host() {
        if (host == null) {
            if (energies == null) {
                energies = owned.allocate(4L * matrix.rows(), "the energies of the rows");
            }
            if (metric.present()) {
                transformed.reserve(4L * matrix.chunkRows() * matrix.columns());
            }
            matrix.forEach(this::chunk);
            transformed.close();
            float[] found = new float[matrix.rows()];
            owned.device().download(energies, 0, MemorySegment.ofArray(found));
            host = found;
        }
        return host;
    }

    private void chunk(long values, int first, int count) {
        int columns = matrix.columns();
        long rows = values;
        if (metric.present()) {
            rows = transformed.address();
            blas.product(count, columns, columns, values, metric.root32(), rows);
        }
        parameters.reset().address(rows, energies.address() + 4L * first).i32(count, columns);
        norms.launch(Math.ceilDiv(count, ROWS_PER_BLOCK), THREADS, parameters);
    }
}
