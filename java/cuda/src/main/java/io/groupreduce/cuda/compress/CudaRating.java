package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.Choice;
import io.groupreduce.spi.Directions;
import java.util.List;

/**
 * What every row loses under every plan, kept on the card for the choice among them.
 *
 * <pre>distortion(i, p) = w_i (e_i - ||c_i[0 : k_p]||^2 + rounding error),   c_i = A_i P_b: D times D x k_b</pre>
 *
 * <p>One matrix product a tile of rows makes the coordinates of all bases; a warp a row and basis makes distortions of
 * them. Bytes: 4 D a row and the projections read by the product, 4 K of coordinates written and read (K the sum of the
 * bases' longest ranks), read again for every plan from a cache, 4 P written. Never materialised: coordinates beyond a tile.
 */
final class CudaRating {
    private static final int THREADS = 256;
    private static final int ROWS_PER_BLOCK = THREADS / 32;

    /** Coordinates of a tile stay in the second-level cache of a large card, and its product still fills all cores. */
    private static final long TILE_BYTES = 32L << 20;

    private final Device device;
    private final Cublas blas;
    private final DeviceMatrix matrix;
    private final DeviceMetric metric;
    private final CudaRowEnergies energies;
    private final Kernel rateKernel;
    private final Kernel wholeKernel;
    private final Parameters parameters = new Parameters(128);
    private CudaDistortions table;

    /**
     * Holds nothing yet.
     *
     * @param energies stays the caller's
     */
    CudaRating(Owned owned, Cublas blas, DeviceMatrix matrix, DeviceMetric metric, CudaRowEnergies energies) {
        device = owned.device();
        owned.add(this::forget);
        this.blas = blas;
        this.matrix = matrix;
        this.metric = metric;
        this.energies = energies;
        rateKernel = device.kernel("gr_rate");
        wholeKernel = device.kernel("gr_rate_whole");
    }

    /** See {@link io.groupreduce.spi.CompressionWorkspace#rate}. */
    void rate(List<Directions> bases, List<GroupPlan> plans) {
        if (table != null && !table.isFor(plans.size())) {
            forget();
        }
        long energy = energies.address();
        try (Owned step = new Owned(device)) {
            RatingTables tables =
                    new RatingTables(step, bases, plans, matrix.type(), matrix.columns(), metric.squaredTrace());
            int tileRows = tileRows(tables.coordinates());
            ScaleTables scales = new ScaleTables(step);
            DeviceMemory coordinates =
                    step.allocate((long) Float.BYTES * tileRows * tables.coordinates(), "a tile of coordinates");
            if (table == null) {
                table = new CudaDistortions(device, matrix.rows(), plans.size(), headroom());
            }
            matrix.forEach((values, first, count) -> {
                int end;
                for (int row = first; row < first + count; row = end) {
                    end = Math.min(Math.min(first + count, row + tileRows), table.end(row));
                    long rows = values + (long) Float.BYTES * (row - first) * matrix.columns();
                    tile(
                            tables,
                            scales,
                            rows,
                            energy + (long) Float.BYTES * row,
                            coordinates.address(),
                            row,
                            end - row);
                    table.written(row, end - row);
                }
            });
        } catch (Throwable e) {
            forget();
            throw e;
        }
    }

    private int tileRows(int numbers) {
        long bytes = Math.min(TILE_BYTES, device.availableMemory() / 4);
        return Math.clamp(bytes / (Float.BYTES * Math.max(1L, numbers)), 1, matrix.chunkRows());
    }

    /** What a pass over the matrix takes while the table is made: two chunks of stored rows, one in binary32. */
    private long headroom() {
        return matrix.chunkRows() * (2 * matrix.rowBytes() + (long) Float.BYTES * matrix.columns());
    }

    /** Bytes of shared memory of a block of gr_rate: GR_RATE_SHARED of {@code encode.h}. */
    private static int rateShared(int levels) {
        return ROWS_PER_BLOCK * Float.BYTES * levels;
    }

    /** Rates some rows: their numbers, their energies, room for their coordinates, the number of the first, how many. */
    private void tile(
            RatingTables tables, ScaleTables scales, long rows, long energy, long target, int first, int count) {
        long weights = matrix.weights() + (long) Float.BYTES * first;
        if (tables.wholePlans() > 0) {
            parameters.reset().address(tables.wholeTable(), tables.asksForCodes() ? rows : 0);
            parameters.address(energy, weights, table.address(first), scales.log8(), scales.steps());
            parameters.i32(count, matrix.columns(), tables.wholePlans(), table.stride());
            wholeKernel.launch(Math.ceilDiv(count, ROWS_PER_BLOCK), THREADS, parameters);
        }
        if (tables.bases() == 0) {
            return;
        }
        int columns = matrix.columns();
        int width = tables.coordinates();
        if (width > 0) {
            blas.productTransposed(count, width, columns, rows, tables.projections(), target);
        }
        parameters.reset().address(target, tables.basisTable(), energy, weights, table.address(first));
        parameters.address(scales.log8(), scales.steps()).i32(count, width, table.stride(), tables.mostLevels());
        int shared = rateShared(tables.mostLevels());
        int blocks = Math.ceilDiv(count, ROWS_PER_BLOCK);
        rateKernel.launch(device.stream(), blocks, tables.bases(), THREADS, shared, parameters);
    }

    /** See {@link io.groupreduce.spi.CompressionWorkspace#choose}. */
    Choice choose(double price, double[] bytes, byte[] groupOf) {
        return table.choose(price, bytes, groupOf);
    }

    /** Frees what was rated. */
    void forget() {
        if (table != null) {
            table.close();
            table = null;
        }
    }
}
