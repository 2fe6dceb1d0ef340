package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.compress.RowCopier.Factor;
import io.groupreduce.cuda.compress.RowRuns.Block;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.NormalEquations;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * The normal equations of right factors, given the stored left ones.
 *
 * <pre>
 * gram  = sum over rows i of the basis of w_i L_i^T L_i,   L_i: k_b numbers, those beyond its group's rank 0
 * cross = sum over rows i of the basis of w_i L_i^T A_i,   A_i: D numbers
 * </pre>
 *
 * <p>Left factors come from the host as they are stored and are decoded block by block; a run of rows that keep k
 * coordinates fills the first k rows of both matrices. Bytes: the stored left rows, 8 D a row gathered, and what {@link
 * ProductSums} moves. Never materialised: a decoded left factor beyond a block.
 */
final class CudaRightEquations {
    private static final int THREADS = 256;

    private final Device device;
    private final DeviceMatrix matrix;
    private final ProductSums sums;
    private final GatheredRows gathered;
    private final Kernel listedWeights;
    private final Parameters parameters = new Parameters(32);
    private final LongSupplier room;

    /**
     * Holds nothing yet. Half of the memory is for the sums, the other half for the products.
     *
     * @param gathered stays the caller's
     * @param sums stays the caller's
     */
    CudaRightEquations(Device device, DeviceMatrix matrix, GatheredRows gathered, ProductSums sums) {
        this(device, matrix, gathered, sums, () -> device.availableMemory() / 2);
    }

    /** The same with other room for the sums, in bytes. */
    CudaRightEquations(Device device, DeviceMatrix matrix, GatheredRows gathered, ProductSums sums, LongSupplier room) {
        this.device = device;
        this.room = room;
        this.matrix = matrix;
        this.sums = sums;
        this.gathered = gathered;
        listedWeights = device.kernel("gr_listed_weights");
    }

    /** Stored rows, and room for a block of them decoded, padded, and for the weights of its rows: device addresses. */
    private record Tables(StoredBlock stored, long kept, long padded, long weights) {}

    /** Where the sums of a basis lie, in bytes from the start of those that are made together. */
    private record Place(int basis, int rank, long gram, long cross, long end) {}

    /** See {@link io.groupreduce.spi.CompressionWorkspace#normalEquations}. */
    List<NormalEquations> of(byte[] groupOf, List<GroupPlan> groups, int[] ranks, List<EncodedMatrix> left) {
        List<NormalEquations> equations = new ArrayList<>();
        for (int rank : ranks) {
            equations.add(new NormalEquations(rank, new double[rank * rank], new double[rank * matrix.columns()]));
        }
        RowRuns runs = new RowRuns(groupOf, groups, false);
        List<Block> blocks = runs.blocks(gathered.blockRows()).stream()
                .filter(block -> block.run().isLowRank())
                .toList();
        int longest = Arrays.stream(ranks).max().orElse(0);
        try (Owned step = new Owned(device)) {
            StoredBlock stored = new StoredBlock(step, runs, left, blocks);
            gathered.load(runs.lists(), false);
            long column = (long) Float.BYTES * gathered.blockRows();
            DeviceMemory kept = step.allocate(column * longest, "a block of left rows");
            DeviceMemory padded = step.allocate(column * longest, "a block of padded left rows");
            DeviceMemory weights = step.allocate(column, "the weights of a block of rows");
            Tables tables = new Tables(stored, kept.address(), padded.address(), weights.address());
            for (int first = 0; first < ranks.length; ) {
                List<Place> places = places(ranks, first);
                try (DeviceMemory result =
                        device.allocate(Math.max(1, places.getLast().end()), "normal equations")) {
                    device.stream().clear(result.address(), result.bytes());
                    for (Block block : blocks) {
                        int at = block.run().basis() - first;
                        if (at >= 0 && at < places.size()) {
                            add(block, places.get(at), result.address(), tables);
                        }
                    }
                    for (Place place : places) {
                        fetch(place, result, equations.get(place.basis()));
                    }
                }
                first += places.size();
            }
            return equations;
        }
    }

    /** As many bases from {@code first} on, one at least, as there is room for. */
    private List<Place> places(int[] ranks, int first) {
        long bytes = room.getAsLong();
        List<Place> places = new ArrayList<>();
        long at = 0;
        for (int b = first; b < ranks.length; b++) {
            long cross = at + (long) Double.BYTES * ranks[b] * ranks[b];
            long end = cross + (long) Double.BYTES * ranks[b] * matrix.columns();
            if (end > bytes && b > first) {
                break;
            }
            places.add(new Place(b, ranks[b], at, cross, end));
            at = end;
        }
        return places;
    }

    private void add(Block block, Place place, long result, Tables tables) {
        StoredBlock stored = tables.stored();
        stored.load(block);
        int width = block.run().width();
        gathered.forEach(block.from(), block.count(), Factor.ONE, false, (rows, numbers, count) -> {
            long by = tables.weights();
            parameters.reset().address(numbers, matrix.weights(), by).i32(count);
            listedWeights.launch(Math.ceilDiv(count, THREADS), THREADS, parameters);
            long left = tables.kept();
            long all = left;
            stored.decode(left, count, width);
            if (width < place.rank()) {
                all = tables.padded();
                stored.decode(all, count, place.rank());
            }
            sums.add(left, width, all, place.rank(), by, count, result + place.gram());
            sums.add(left, width, rows, matrix.columns(), by, count, result + place.cross());
        });
    }

    /** Copies sums to the host; of symmetric pairs, what stands above the diagonal counts for both. */
    private void fetch(Place place, DeviceMemory result, NormalEquations equations) {
        device.download(result, place.gram(), MemorySegment.ofArray(equations.gram()));
        device.download(result, place.cross(), MemorySegment.ofArray(equations.cross()));
        int rank = place.rank();
        for (int i = 0; i < rank; i++) {
            for (int j = 0; j < i; j++) {
                equations.gram()[i * rank + j] = equations.gram()[j * rank + i];
            }
        }
    }
}
