package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.compress.RowCopier.Factor;
import io.groupreduce.cuda.compress.RowRuns.Block;
import io.groupreduce.cuda.compress.RowRuns.Run;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
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
final class CudaMeasuredLoss {
    private static final int THREADS = 256;
    private static final int WARP = 32;

    private final Device device;
    private final Cublas blas;
    private final DeviceMatrix matrix;
    private final DeviceMetric metric;
    private final GatheredRows gathered;
    private final Kernel difference;
    private final Kernel rowLoss;
    private final Parameters parameters = new Parameters(64);

    /**
     * Holds nothing yet.
     *
     * @param gathered stays the caller's
     */
    CudaMeasuredLoss(Device device, Cublas blas, DeviceMatrix matrix, DeviceMetric metric, GatheredRows gathered) {
        this.device = device;
        this.blas = blas;
        this.matrix = matrix;
        this.metric = metric;
        this.gathered = gathered;
        difference = device.kernel("gr_difference");
        rowLoss = device.kernel("gr_row_loss");
    }

    /** What the card has of the approximation, and room for coordinates, rebuilt rows and losses: device addresses. */
    private record Tables(StoredBlock stored, FloatTables right, long coordinates, long rebuilt, long losses) {}

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
        try (Owned step = new Owned(device)) {
            FloatTables right = new FloatTables(step, "the right factors", factors, numbers);
            StoredBlock stored = new StoredBlock(step, runs, left, blocks);
            gathered.load(runs.lists(), false);
            long column = (long) Float.BYTES * gathered.blockRows();
            int most = Arrays.stream(longest).max().orElse(0);
            DeviceMemory coordinates = step.allocate(column * most, "a block of stored coordinates");
            DeviceMemory rebuilt = step.allocate(column * columns, "a block of rebuilt rows");
            DeviceMemory losses = step.allocate((long) Double.BYTES * matrix.rows(), "the losses of the rows");
            Tables tables = new Tables(stored, right, coordinates.address(), rebuilt.address(), losses.address());
            for (Block block : blocks) {
                gathered.forEach(block.from(), block.count(), Factor.ONE, false, (rows, list, count) -> {
                    rebuild(block, tables);
                    measure(rows, list, count, tables);
                });
            }
            double[] found = new double[matrix.rows()];
            device.download(losses, 0, MemorySegment.ofArray(found));
            return Arrays.stream(found).sequential().reduce(0, Double::sum);
        }
    }

    /** Writes the rows of a block as a reader sees them. */
    private void rebuild(Block block, Tables tables) {
        Run run = block.run();
        int count = block.count();
        int columns = matrix.columns();
        if (run.basis() == GroupPlan.ZERO) {
            device.stream().clear(tables.rebuilt(), (long) Float.BYTES * count * columns);
            return;
        }
        tables.stored().load(block);
        long decoded = run.isDense() ? tables.rebuilt() : tables.coordinates();
        int width = run.width();
        tables.stored().decode(decoded, count, width);
        if (run.isLowRank()) {
            blas.product(count, columns, width, decoded, tables.right().address(run.basis()), tables.rebuilt());
        }
    }

    private void measure(long rows, long list, int count, Tables tables) {
        int columns = matrix.columns();
        if (!metric.present()) {
            rowLosses(rows, tables.rebuilt(), list, tables.losses(), count);
            return;
        }
        long numbers = (long) count * columns;
        parameters.reset().address(tables.rebuilt(), rows).i64(numbers);
        difference.launch(Math.ceilDiv(numbers, THREADS), THREADS, parameters);
        blas.product(count, columns, columns, rows, metric.root32(), tables.rebuilt());
        rowLosses(tables.rebuilt(), 0, list, tables.losses(), count);
    }

    /**
     * {@code losses[list[i]] = w ||values_i - rebuilt_i||^2}, in binary64.
     *
     * @param rebuilt 0 where values are differences already
     */
    private void rowLosses(long values, long rebuilt, long list, long losses, int count) {
        parameters
                .reset()
                .address(values, rebuilt, list, matrix.weights(), losses)
                .i32(count, matrix.columns());
        rowLoss.launch(Math.ceilDiv(count, THREADS / WARP), THREADS, parameters);
    }
}
