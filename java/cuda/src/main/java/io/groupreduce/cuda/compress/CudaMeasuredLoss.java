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
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.Loss;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The loss of stored factors.
 *
 * <pre>
 * weighted = sum over i of w_i ||(A_i - A^_i) S||^2
 * counted  = sum over i of v_i ||A_i - A^_i||^2,   countedEnergy = sum over i of v_i ||A_i||^2
 * </pre>
 *
 * <p>Stored rows come from the host, are decoded block by block and multiplied with the right factor as a reader would,
 * in binary32; the difference is multiplied with S. Squares are summed in binary64, and rows on the host in the order of
 * their numbers, however they were cut into blocks. Bytes: the stored rows, 8 D a row gathered, 4 k written and read, 4 D
 * written and read for each of reconstruction, difference and product, 16 a row to the host, 24 with S. Never materialised: A^ or the difference beyond
 * a block.
 */
final class CudaMeasuredLoss {
    private static final int THREADS = 256;
    private static final int WARP = 32;

    private final Device device;
    private final Cublas blas;
    private final CompressionProblem problem;
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
    CudaMeasuredLoss(
            Device device,
            Cublas blas,
            CompressionProblem problem,
            DeviceMatrix matrix,
            DeviceMetric metric,
            GatheredRows gathered) {
        this.device = device;
        this.problem = problem;
        this.blas = blas;
        this.matrix = matrix;
        this.metric = metric;
        this.gathered = gathered;
        difference = device.kernel("gr_difference");
        rowLoss = device.kernel("gr_row_loss");
    }

    /**
     * What the card has of the approximation, and room for coordinates and rebuilt rows, and for the squares of every row: device
     * addresses.
     */
    private record Tables(
            StoredBlock stored,
            FloatTables right,
            long coordinates,
            long rebuilt,
            long errors,
            long energies,
            long weighted) {}

    /** See {@link io.groupreduce.spi.CompressionWorkspace#loss}. */
    Loss of(CompressedMatrix approximation) {
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
            DeviceMemory errors = squares(step, "errors");
            DeviceMemory energies = squares(step, "energies");
            DeviceMemory weighted = metric.present() ? squares(step, "losses") : errors;
            Tables tables = new Tables(
                    stored,
                    right,
                    coordinates.address(),
                    rebuilt.address(),
                    errors.address(),
                    energies.address(),
                    weighted.address());
            for (Block block : blocks) {
                gathered.forEach(block.from(), block.count(), Factor.ONE, false, (rows, list, count) -> {
                    rebuild(block, tables);
                    measure(rows, list, count, tables);
                });
            }
            return new Loss(
                    sum(problem.weights(), weighted),
                    sum(problem.countWeights(), errors),
                    sum(problem.countWeights(), energies));
        }
    }

    private DeviceMemory squares(Owned step, String what) {
        return step.allocate((long) Double.BYTES * matrix.rows(), "the " + what + " of the rows");
    }

    private double sum(float[] weights, DeviceMemory squares) {
        double[] found = new double[weights.length];
        device.download(squares, 0, MemorySegment.ofArray(found));
        double sum = 0;
        for (int i = 0; i < found.length; i++) {
            sum += weights[i] * found[i];
        }
        return sum;
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
        squares(rows, tables.rebuilt(), list, tables.errors(), tables.energies(), count);
        if (!metric.present()) {
            return;
        }
        long numbers = (long) count * columns;
        parameters.reset().address(tables.rebuilt(), rows).i64(numbers);
        difference.launch(Math.ceilDiv(numbers, THREADS), THREADS, parameters);
        blas.product(count, columns, columns, rows, metric.root32(), tables.rebuilt());
        squares(tables.rebuilt(), 0, list, tables.weighted(), 0, count);
    }

    /**
     * {@code errors[list[i]] = ||values_i - rebuilt_i||^2} and {@code energies[list[i]] = ||values_i||^2}, in binary64.
     *
     * @param rebuilt 0 where values are differences already, which have no energies
     */
    private void squares(long values, long rebuilt, long list, long errors, long energies, int count) {
        parameters.reset().address(values, rebuilt, list, errors, energies).i32(count, matrix.columns());
        rowLoss.launch(Math.ceilDiv(count, THREADS / WARP), THREADS, parameters);
    }
}
