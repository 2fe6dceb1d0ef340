package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.compress.RowKernels.Factor;
import io.groupreduce.cuda.compress.RowRuns.Block;
import io.groupreduce.cuda.compress.RowRuns.Run;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Scratch;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The loss of stored factors.
 *
 * <pre>sum over i of w_i ||(A_i - A^_i) S||^2</pre>
 *
 * <p>Stored rows come from the host, are decoded block by block and multiplied with the right factor as a reader would,
 * in binary32; the difference is multiplied with S. Squares are summed in binary64, and rows in the order of their
 * numbers, however they were cut into blocks. Bytes: the stored rows, 8 D a row gathered, 4 k written and read, 4 D
 * written and read for each of reconstruction, difference and product. Never materialised: A^ or the difference beyond
 * a block.
 */
final class StoredLoss implements AutoCloseable {
    private final Device device;
    private final Cublas blas;
    private final DeviceMatrix matrix;
    private final DeviceMetric metric;
    private final GatheredRows gathered;
    private final StoredKernels kernels;
    private final Scratch coordinates;
    private final Scratch rebuilt;
    private final Scratch losses;

    /**
     * Holds nothing yet.
     *
     * @param gathered stays the caller's
     */
    StoredLoss(Device device, Cublas blas, DeviceMatrix matrix, DeviceMetric metric, GatheredRows gathered) {
        this.device = device;
        this.blas = blas;
        this.matrix = matrix;
        this.metric = metric;
        this.gathered = gathered;
        kernels = new StoredKernels(device);
        coordinates = new Scratch(device, "a block of stored coordinates");
        rebuilt = new Scratch(device, "a block of rebuilt rows");
        losses = new Scratch(device, "the losses of the rows");
    }

    /** What the card has of the approximation. */
    private record Tables(StoredBlock stored, FloatTables right, ScaleTables scales) {}

    /** See {@link io.groupreduce.spi.CompressionWorkspace#loss}. */
    double of(CompressedMatrix approximation) {
        int columns = matrix.columns();
        RowRuns runs = new RowRuns(approximation.groupOf(), approximation.groups(), true);
        List<Block> blocks = runs.blocks(gathered.blockRows());
        int[] longest = runs.longest(approximation.bases());
        List<float[]> factors = new ArrayList<>();
        int[] numbers = new int[longest.length];
        for (int b = 0; b < numbers.length; b++) {
            factors.add(approximation.decodedRight(b));
            numbers[b] = longest[b] * columns;
        }
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < approximation.groups().size(); g++) {
            left.add(approximation.left(g));
        }
        try (FloatTables right = new FloatTables(device, "the right factors", factors, numbers);
                ScaleTables scales = new ScaleTables(device);
                StoredBlock stored = new StoredBlock(device, runs, left, blocks)) {
            gathered.load(runs.lists(), false);
            int most = Arrays.stream(longest).max().orElse(0);
            coordinates.atLeast((long) Float.BYTES * gathered.blockRows() * most);
            rebuilt.atLeast((long) Float.BYTES * gathered.blockRows() * columns);
            losses.atLeast((long) Double.BYTES * matrix.rows());
            Tables tables = new Tables(stored, right, scales);
            for (Block block : blocks) {
                gathered.forEach(block.from(), block.count(), Factor.ONE, false, (rows, list, count) -> {
                    rebuild(block, tables);
                    measure(rows, list, count);
                });
            }
            double[] found = new double[matrix.rows()];
            losses.download(MemorySegment.ofArray(found));
            return Arrays.stream(found).sequential().reduce(0, Double::sum);
        } finally {
            close();
        }
    }

    /** Writes the rows of a block as a reader sees them. */
    private void rebuild(Block block, Tables tables) {
        Run run = block.run();
        int count = block.count();
        int columns = matrix.columns();
        long target = rebuilt.atLeast(0);
        if (run.basis() == GroupPlan.ZERO) {
            device.stream().clear(target, (long) Float.BYTES * count * columns);
            return;
        }
        int groups = tables.stored().begin(block);
        tables.stored().upload();
        long decoded = run.isDense() ? target : coordinates.atLeast(0);
        int width = run.width();
        long table = tables.stored().table();
        kernels.decode(new StoredKernels.Rows(decoded, count, width, table, groups), tables.scales());
        if (run.isLowRank()) {
            long right = tables.right().address(run.basis());
            blas.product(count, columns, width, decoded, right, target);
        }
    }

    private void measure(long rows, long list, int count) {
        int columns = matrix.columns();
        long other = rebuilt.atLeast(0);
        if (!metric.present()) {
            kernels.rowLosses(rows, other, list, matrix.weights(), losses.atLeast(0), count, columns);
            return;
        }
        kernels.subtract(other, rows, (long) count * columns);
        blas.product(count, columns, columns, rows, metric.root32(), other);
        kernels.rowLosses(other, 0, list, matrix.weights(), losses.atLeast(0), count, columns);
    }

    /** Frees what only a step needs; it comes back with the next one. */
    @Override
    public void close() {
        coordinates.close();
        rebuilt.close();
        losses.close();
    }
}
