package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.compress.CandidateSlots.Used;
import io.groupreduce.cuda.compress.RowCopier.Factor;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.cuda.driver.WorkMemory;
import io.groupreduce.internal.rows.RowLists;
import io.groupreduce.spi.Candidate;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The best candidate of every row.
 *
 * <pre>objective(i, c) = w_i max(0, e_i - ||(A_i P_b)[0 : k_c]||^2) + price_c,   A_i: D numbers, P_b: D x k_b</pre>
 *
 * <p>A chunk of rows is multiplied with the projections of all bases in use by {@link SplitProducts}, as many in one
 * product as lie one behind the other; a kernel sums squared coordinates up to every rank that a candidate asks for,
 * another takes the least objective. When a dense candidate is no dearer than any other, it is the best of every row, and
 * each row is multiplied with the projection of its own candidate alone.
 *
 * <p>Bytes: one pass over A, 8 K a row (K the sum of ranks) for coordinates written and read beside what their products
 * move, 9 N of small results. Never materialised: coordinates beyond a chunk, objectives.
 */
final class CudaAssignment {
    /** Columns of one product, in units of D, unless one basis alone has more. */
    private static final int MOST_WIDTH = 4;

    private static final int THREADS = 256;
    private static final int WARP = 32;

    private final Device device;
    private final Cublas blas;
    private final DeviceMatrix matrix;
    private final CudaRowEnergies energies;
    private final GatheredRows gathered;
    private final Kernel prefixEnergies;
    private final Kernel choose;
    private final Kernel gainWhenDense;
    private final Parameters parameters = new Parameters(96);
    private final SplitProducts products;
    private final WorkMemory rowTerms;
    private final WorkMemory directionTerms;
    private final WorkMemory prices;
    private final WorkMemory numbers;
    private final WorkMemory coordinates;
    private final WorkMemory kept;
    private final WorkMemory currentRows;
    private final WorkMemory bestRows;
    private final WorkMemory gainRows;

    /** Holds nothing yet. */
    CudaAssignment(Owned owned, Cublas blas, DeviceMatrix matrix, CudaRowEnergies energies, GatheredRows gathered) {
        device = owned.device();
        this.blas = blas;
        this.matrix = matrix;
        this.energies = energies;
        this.gathered = gathered;
        prefixEnergies = device.kernel("gr_prefix_energies");
        choose = device.kernel("gr_choose_candidate");
        gainWhenDense = device.kernel("gr_gain_when_dense");
        products = new SplitProducts(device, blas, matrix.columns());
        rowTerms = owned.work("rows as terms of bfloat16");
        directionTerms = owned.work("directions as terms of bfloat16");
        prices = owned.work("the prices of candidates");
        numbers = owned.work("the ranks of candidates");
        coordinates = owned.work("coordinates of rows");
        kept = owned.work("energies that candidates keep");
        currentRows = owned.work("the candidates of rows");
        bestRows = owned.work("the best candidates of rows");
        gainRows = owned.work("the gains of rows");
    }

    /** Fills {@code best} and {@code gain}. */
    void run(CudaBasisSolver bases, List<Candidate> candidates, byte[] current, byte[] best, float[] gain) {
        gainRows.reserve(4L * gain.length);
        int dense = Candidate.unbeatenDense(candidates);
        if (dense >= 0) {
            makeDense(bases, candidates, candidates.get(dense).price(), current);
            Arrays.fill(best, (byte) dense);
        } else {
            choose(bases, candidates, current);
            device.download(bestRows.memory(), 0, MemorySegment.ofArray(best));
        }
        device.download(gainRows.memory(), 0, MemorySegment.ofArray(gain));
    }

    private void makeDense(CudaBasisSolver bases, List<Candidate> candidates, double price, byte[] current) {
        RowLists lists = RowLists.of(current, candidates.size());
        gathered.load(lists, false);
        long block = gathered.blockRows();
        int longest = candidates.stream().mapToInt(Candidate::rank).max().orElse(0);
        long target = coordinates.atLeast(4 * block * longest);
        long energy = kept.atLeast(4 * block);
        long ends = numbers.upload(MemorySegment.ofArray(
                candidates.stream().mapToInt(Candidate::rank).toArray()));
        for (int c = 0; c < candidates.size(); c++) {
            Candidate here = candidates.get(c);
            double gap = here.price() - price;
            int rank = here.rank();
            long end = ends + 4L * c;
            if (here.isDense() || rank == 0) {
                gains(gathered.numbers(lists.start(c)), 0, gap, lists.count(c), here.isDense());
                continue;
            }
            gathered.forEach(lists.start(c), lists.count(c), Factor.ONE, false, (rows, list, count) -> {
                long projection = bases.projection(here.basis());
                blas.productTransposed(count, rank, matrix.columns(), rows, projection, target);
                prefixEnergies(target, count, rank, end, 1, energy, 1);
                gains(list, energy, gap, count, false);
            });
        }
    }

    /**
     * What listed rows of one candidate gain when they become dense.
     *
     * @param keptEnergy {@code count} binary32, or 0 when the candidate keeps nothing
     * @param gap what the candidate costs more than the dense one
     * @param all whether the candidate keeps all
     */
    private void gains(long list, long keptEnergy, double gap, int count, boolean all) {
        if (count > 0) {
            parameters.reset().address(energies.address(), matrix.weights(), list, keptEnergy, gainRows.address());
            parameters.f64(gap).i32(count, all ? 1 : 0);
            gainWhenDense.launch(Math.ceilDiv(count, THREADS), THREADS, parameters);
        }
    }

    /**
     * Sums squared coordinates up to some ranks.
     *
     * @param products rows of {@code width} coordinates
     * @param ends {@code levels} ascending ranks, int32
     * @param target receives {@code levels} binary32 a row, rows {@code stride} apart
     */
    private void prefixEnergies(long products, int count, int width, long ends, int levels, long target, int stride) {
        parameters.reset().address(products, ends, target).i32(count, width, levels, stride);
        prefixEnergies.launch(Math.ceilDiv(count, THREADS / WARP), THREADS, parameters);
    }

    /** Bases whose projections lie one behind the other, {@code width} directions in all. */
    private record Run(List<Used> bases, int width) {
        int stride() {
            return SplitProducts.stride(width);
        }
    }

    private List<Run> runs(CudaBasisSolver bases, List<Used> used) {
        int columns = matrix.columns();
        List<Run> runs = new ArrayList<>();
        List<Used> run = new ArrayList<>();
        int width = 0;
        for (Used basis : used) {
            boolean follows = !run.isEmpty()
                    && bases.projection(basis.basis())
                            == bases.projection(run.get(0).basis()) + 4L * width * columns;
            if (!run.isEmpty() && (!follows || width + basis.longest() > (long) MOST_WIDTH * columns)) {
                runs.add(new Run(List.copyOf(run), width));
                run.clear();
                width = 0;
            }
            run.add(basis);
            width += basis.longest();
        }
        if (!run.isEmpty()) {
            runs.add(new Run(List.copyOf(run), width));
        }
        return runs;
    }

    private void choose(CudaBasisSolver bases, List<Candidate> candidates, byte[] current) {
        CandidateSlots slots = CandidateSlots.of(candidates);
        int width = slots.ends().length;
        int[] tables = Arrays.copyOf(slots.ends(), width + candidates.size());
        System.arraycopy(slots.ofCandidate(), 0, tables, width, candidates.size());
        long ends = numbers.upload(MemorySegment.ofArray(tables));
        long places = prices.upload(MemorySegment.ofArray(
                candidates.stream().mapToDouble(Candidate::price).toArray()));
        List<Run> runs = runs(bases, slots.bases());
        long chunk = matrix.chunkRows();
        long target = coordinates.atLeast(
                4 * chunk * runs.stream().mapToInt(Run::stride).max().orElse(0));
        long terms = rowTerms.atLeast(chunk * products.rowBytes());
        long[] directions = split(bases, runs);
        long energy = kept.atLeast(4 * chunk * width);
        long from = currentRows.upload(MemorySegment.ofArray(current));
        long best = bestRows.atLeast(current.length);
        long gain = gainRows.address();
        long all = energies.address();
        matrix.forEach((values, first, count) -> {
            products.split(values, count, true, terms);
            for (int r = 0; r < directions.length; r++) {
                Run run = runs.get(r);
                products.multiply(terms, count, directions[r], run.width(), target);
                int column = 0;
                for (Used basis : run.bases()) {
                    long ranks = ends + 4L * basis.first();
                    long slot = energy + 4L * basis.first();
                    prefixEnergies(target + 4L * column, count, run.stride(), ranks, basis.slots(), slot, width);
                    column += basis.longest();
                }
            }
            long at = 4L * first;
            parameters.reset().address(all + at, matrix.weights() + at, energy, places, ends + 4L * width);
            parameters.address(from + first, best + first, gain + at).i32(count, candidates.size(), width);
            choose.launch(Math.ceilDiv(count, THREADS), THREADS, parameters);
        });
    }

    /** Where the terms of every run's directions lie. */
    private long[] split(CudaBasisSolver bases, List<Run> runs) {
        long bytes = products.rowBytes();
        long next = directionTerms.atLeast(
                bytes * runs.stream().mapToInt(Run::width).sum());
        long[] directions = new long[runs.size()];
        for (int r = 0; r < directions.length; r++) {
            int width = runs.get(r).width();
            products.split(bases.projection(runs.get(r).bases().get(0).basis()), width, false, next);
            directions[r] = next;
            next += bytes * width;
        }
        return directions;
    }
}
