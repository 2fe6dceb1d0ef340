package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.compress.RowCopier.Factor;
import io.groupreduce.cuda.compress.RowRuns.Block;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.Directions;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Left factors, computed and stored.
 *
 * <pre>L_p[slot(i), j] = round(A_i P_b[:, j] * scale_b[j]),   j &lt; k_p</pre>
 *
 * <p>Rows are gathered run by run, multiplied with the directions that the run's longest group keeps, and encoded; rows
 * of dense groups are encoded as they are. Numbers are computed and rounded as {@link EncodedMatrix#encodeRow(long,
 * float[], int, float[])} does: a row of which the coordinates are the same has the same bytes. Bytes: 8 D a row
 * gathered, 4 D read and 8 k written and read again, the stored bytes written and copied to the host. Never
 * materialised: coordinates beyond a block.
 */
final class CudaLeftEncoder {
    private final Device device;
    private final Cublas blas;
    private final DeviceMatrix matrix;
    private final GatheredRows gathered;

    /**
     * Holds nothing yet.
     *
     * @param gathered stays the caller's
     */
    CudaLeftEncoder(Device device, Cublas blas, DeviceMatrix matrix, GatheredRows gathered) {
        this.device = device;
        this.blas = blas;
        this.matrix = matrix;
        this.gathered = gathered;
    }

    /** What the card has of every basis. */
    private record Tables(FloatTables projections, FloatTables factors, FloatTables errorWeights) {}

    /** See {@link io.groupreduce.spi.CompressionWorkspace#encodeLeft}. */
    void encode(byte[] groupOf, List<GroupPlan> groups, List<Directions> bases, List<EncodedMatrix> left) {
        RowRuns runs = new RowRuns(groupOf, groups, false);
        int[] longest = runs.longest(bases.size());
        int[] numbers = longest.clone();
        int most = 0;
        for (int b = 0; b < numbers.length; b++) {
            numbers[b] = Math.multiplyExact(longest[b], matrix.columns());
            most = Math.max(most, longest[b]);
        }
        List<Block> blocks = runs.blocks(gathered.blockRows());
        List<float[]> projection = bases.stream().map(Directions::projection).toList();
        List<float[]> scale = bases.stream().map(Directions::scales).collect(Collectors.toList());
        List<float[]> weight = bases.stream().map(Directions::errorWeights).collect(Collectors.toList());
        try (Owned step = new Owned(device)) {
            Tables tables = new Tables(
                    new FloatTables(step, "the projections of the bases", projection, numbers),
                    new FloatTables(step, "the scales of the coordinates", scale, longest),
                    new FloatTables(step, "the weights of the coordinates", weight, longest));
            StoredBlock stored = new StoredBlock(step, runs, left, blocks);
            gathered.load(runs.lists(), false);
            long bytes = (long) Float.BYTES * gathered.blockRows() * most;
            DeviceMemory coordinates = step.allocate(bytes, "a block of coordinates");
            for (Block block : blocks) {
                encode(block, stored, tables, coordinates.address());
            }
        }
    }

    private void encode(Block block, StoredBlock stored, Tables tables, long coordinates) {
        stored.begin(block);
        gathered.forEach(block.from(), block.count(), Factor.ONE, false, (rows, numbers, count) -> {
            int basis = block.run().basis();
            int width = block.run().width();
            if (block.run().isDense()) {
                stored.encode(rows, count, width, 0, 0);
                return;
            }
            long projection = tables.projections().address(basis);
            blas.productTransposed(count, width, matrix.columns(), rows, projection, coordinates);
            long factors = tables.factors().address(basis);
            stored.encode(
                    coordinates, count, width, factors, tables.errorWeights().address(basis));
        });
        stored.download();
    }
}
