package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.compress.AssignmentKernels.Candidates;
import io.groupreduce.cuda.compress.AssignmentKernels.Rows;
import io.groupreduce.cuda.compress.CandidateSlots.Used;
import io.groupreduce.cuda.compress.RowKernels.Factor;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.Scratch;
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
 * <p>A chunk of rows is multiplied with the projections of all bases in use, as many in one product as lie one behind
 * the other; a kernel sums squared coordinates up to every rank that a candidate asks for, another takes the least
 * objective. When a dense candidate is no dearer than any other, it is the best of every row, and each row is
 * multiplied with the projection of its own candidate alone.
 *
 * <p>Bytes: one pass over A, 8 K a row (K the sum of ranks) for coordinates written and read, 9 N of small results.
 * Never materialised: coordinates beyond a chunk, objectives.
 */
final class Assignment implements AutoCloseable {
    /** Columns of one product, in units of D, unless one basis alone has more. */
    private static final int MOST_WIDTH = 4;

    private final Device device;
    private final Cublas blas;
    private final DeviceMatrix matrix;
    private final RowEnergies energies;
    private final GatheredRows gathered;
    private final AssignmentKernels kernels;
    private final Scratch prices;
    private final Scratch numbers;
    private final Scratch coordinates;
    private final Scratch kept;
    private final Scratch currentRows;
    private final Scratch bestRows;
    private final Scratch gainRows;

    Assignment(Device device, Cublas blas, DeviceMatrix matrix, RowEnergies energies, GatheredRows gathered) {
        this.device = device;
        this.blas = blas;
        this.matrix = matrix;
        this.energies = energies;
        this.gathered = gathered;
        kernels = new AssignmentKernels(device);
        prices = new Scratch(device, "the prices of candidates");
        numbers = new Scratch(device, "the ranks of candidates");
        coordinates = new Scratch(device, "coordinates of rows");
        kept = new Scratch(device, "energies that candidates keep");
        currentRows = new Scratch(device, "the candidates of rows");
        bestRows = new Scratch(device, "the best candidates of rows");
        gainRows = new Scratch(device, "the gains of rows");
    }

    /** Fills {@code best} and {@code gain}. */
    void run(Bases bases, List<Candidate> candidates, byte[] current, byte[] best, float[] gain) {
        gainRows.atLeast(4L * gain.length);
        int dense = Candidate.unbeatenDense(candidates);
        if (dense >= 0) {
            makeDense(bases, candidates, candidates.get(dense).price(), current);
            Arrays.fill(best, (byte) dense);
        } else {
            choose(bases, candidates, current);
            bestRows.download(MemorySegment.ofArray(best));
        }
        gainRows.download(MemorySegment.ofArray(gain));
    }

    private void makeDense(Bases bases, List<Candidate> candidates, double price, byte[] current) {
        RowLists lists = RowLists.of(current, candidates.size());
        gathered.load(lists, false);
        long block = gathered.blockRows();
        int longest = candidates.stream().mapToInt(Candidate::rank).max().orElse(0);
        long products = coordinates.atLeast(4 * block * longest);
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
                multiply(bases.projection(here.basis()), rank, rows, count, products);
                kernels.prefixEnergies(products, count, rank, end, 1, energy, 1);
                gains(list, energy, gap, count, false);
            });
        }
    }

    private void gains(long list, long keptEnergy, double gap, int count, boolean all) {
        if (count > 0) {
            kernels.gainWhenDense(
                    energies.address(), matrix.weights(), list, keptEnergy, gainRows.atLeast(0), gap, count, all);
        }
    }

    /** Bases whose projections lie one behind the other, {@code width} directions in all. */
    private record Run(List<Used> bases, int width) {}

    private List<Run> runs(Bases bases, List<Used> used) {
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

    private void choose(Bases bases, List<Candidate> candidates, byte[] current) {
        CandidateSlots slots = CandidateSlots.of(candidates);
        int width = slots.ends().length;
        int[] tables = Arrays.copyOf(slots.ends(), width + candidates.size());
        System.arraycopy(slots.ofCandidate(), 0, tables, width, candidates.size());
        long ends = numbers.upload(MemorySegment.ofArray(tables));
        long places = prices.upload(MemorySegment.ofArray(
                candidates.stream().mapToDouble(Candidate::price).toArray()));
        Candidates table = new Candidates(places, ends + 4L * width, candidates.size(), width);
        List<Run> runs = runs(bases, slots.bases());
        long chunk = matrix.chunkRows();
        long products = coordinates.atLeast(
                4 * chunk * runs.stream().mapToInt(Run::width).max().orElse(0));
        long energy = kept.atLeast(4 * chunk * width);
        long from = currentRows.upload(MemorySegment.ofArray(current));
        long best = bestRows.atLeast(current.length);
        long gain = gainRows.atLeast(0);
        long all = energies.address();
        matrix.forEach((values, first, count) -> {
            for (Run run : runs) {
                long projection = bases.projection(run.bases().get(0).basis());
                multiply(projection, run.width(), values, count, products);
                int column = 0;
                for (Used basis : run.bases()) {
                    kernels.prefixEnergies(
                            products + 4L * column,
                            count,
                            run.width(),
                            ends + 4L * basis.first(),
                            basis.slots(),
                            energy + 4L * basis.first(),
                            width);
                    column += basis.longest();
                }
            }
            long at = 4L * first;
            kernels.choose(
                    table,
                    new Rows(all + at, matrix.weights() + at, energy, from + first, best + first, gain + at),
                    count);
        });
    }

    /** Coordinates, count x rank, of rows along the rows of a projection, rank x D. */
    private void multiply(long projection, int rank, long rows, int count, long target) {
        int columns = matrix.columns();
        blas.productTransposed(count, rank, columns, rows, projection, target);
    }

    /** Frees the buffers; they come back when they are needed. */
    @Override
    public void close() {
        for (Scratch buffer : List.of(prices, numbers, coordinates, kept, currentRows, bestRows, gainRows)) {
            buffer.close();
        }
    }
}
