package io.groupreduce.vector.compress;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.Choice;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.Loss;
import io.groupreduce.spi.NormalEquations;
import io.groupreduce.vector.kernel.Doubles;
import io.groupreduce.vector.kernel.Projection;
import io.groupreduce.vector.kernel.Workers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * One matrix on its way through a compression, on the processor: hands each step to the class that computes it and keeps what
 * steps share. A row costs 5 bytes here besides its weight, for its energy and its last basis, and 4 more a plan once it is
 * rated.
 */
public final class VectorWorkspace implements CompressionWorkspace {
    /** The largest D whose bases are solved at the same time: at 2,048 a D x D matrix in double takes 34 MB. */
    private static final int SOLVED_TOGETHER = 2048;

    private final Workers workers;
    private final CompressionProblem problem;
    private final int columns;
    private final BasisSolver solver;
    private final float[] energies;
    private final GramMatrices grams;
    private final FewRows fewRows;
    private Basis[] bases = {};
    private Distortions distortions;

    public VectorWorkspace(Workers workers, CompressionProblem problem) {
        this.workers = workers;
        this.problem = problem;
        columns = problem.matrix().columns();
        solver = new BasisSolver(columns, problem.metricRoot());
        energies = RowEnergies.of(workers, problem.matrix(), solver.packedRoot());
        grams = new GramMatrices(
                new GramAccumulator(workers, problem.matrix(), problem.weights()), problem.weights(), energies);
        fewRows = new FewRows(problem.matrix(), problem.weights(), solver.packedRoot());
    }

    @Override
    public double energy() {
        double sum = 0;
        for (int i = 0; i < energies.length; i++) {
            sum += (double) problem.weights()[i] * energies[i];
        }
        return sum;
    }

    @Override
    public void accumulate(byte[] basisOf, int count) {
        grams.update(basisOf, count);
    }

    @Override
    public List<Spectrum> decompose(int[] ranks) {
        Basis[] before = bases;
        Eigenpairs[] found = new Eigenpairs[grams.bases()];
        // Several bases keep all threads busy with one each; a single one takes them all, and so do large ones in turn,
        // since
        // each needs a few D x D matrices of memory while it is solved.
        boolean together = found.length > 1 && columns <= SOLVED_TOGETHER;
        Workers outer = together ? workers : Workers.NONE;
        Workers inner = together ? Workers.NONE : workers;
        outer.run(found.length, (b, worker) -> {
            float[] guess = b < before.length ? before[b].vectors() : null;
            if (ranks[b] == 0) {
                found[b] = new Eigenpairs(new double[0], new float[0]);
            } else if (grams.few(b)) {
                found[b] = fewRows.solve(inner, grams.rows(b), ranks[b]);
            } else {
                found[b] = solver.solve(inner, grams.gram(b), ranks[b], guess);
            }
        });
        bases = new Basis[found.length];
        List<Spectrum> spectra = new ArrayList<>();
        for (int b = 0; b < found.length; b++) {
            bases[b] = Basis.of(workers, ranks[b], found[b].vectors(), solver.packedRoot(), columns);
            spectra.add(new Spectrum(grams.energy(b), found[b].values()));
        }
        return spectra;
    }

    @Override
    public void assign(List<Candidate> candidates, byte[] current, byte[] best, float[] gain) {
        int winner = Candidate.unbeatenDense(candidates);
        if (winner >= 0) {
            DenseAssignment.run(workers, problem, energies, bases, candidates, winner, current, best, gain);
        } else {
            new Assignment(problem, energies, bases, candidates).run(workers, current, best, gain);
        }
    }

    @Override
    public Directions directions(int basis, int rank) {
        Projection forward = bases[basis].projection();
        float[] projection = new float[rank * columns];
        for (int k = 0; k < rank; k++) {
            System.arraycopy(forward.rows(), k * forward.stride(), projection, k * columns, columns);
        }
        return new Directions(rank, projection, right(bases[basis].vectors(), rank), null);
    }

    /** {@code V^T S^-1}. */
    private float[] right(float[] vectors, int rank) {
        double[] inverse = problem.metricRootInverse();
        if (inverse == null) {
            return Arrays.copyOf(vectors, rank * columns);
        }
        float[] right = new float[rank * columns];
        workers.run(rank, (k, worker) -> {
            double[] direction = new double[columns];
            double[] mapped = new double[columns];
            for (int j = 0; j < columns; j++) {
                direction[j] = vectors[k * columns + j];
            }
            Doubles.combineRows(direction, 0, columns, inverse, columns, mapped, 0);
            for (int j = 0; j < columns; j++) {
                right[k * columns + j] = (float) mapped[j];
            }
        });
        return right;
    }

    @Override
    public void rate(List<Directions> directions, List<GroupPlan> plans) {
        if (distortions == null || distortions.plans() != plans.size()) {
            // The old table goes before the new one comes: either may be the largest thing in memory.
            distortions = null;
            distortions = new Distortions(energies.length, plans.size());
        }
        new Rating(problem, energies, directions, plans).run(workers, distortions);
    }

    @Override
    public Choice choose(double price, double[] bytes, byte[] groupOf) {
        return distortions.choose(workers, price, bytes, groupOf);
    }

    @Override
    public void encodeLeft(
            byte[] groupOf, List<GroupPlan> groups, List<Directions> directions, List<EncodedMatrix> left) {
        // Both are large: what was rated makes room for what is stored.
        distortions = null;
        LeftEncoder.run(workers, problem.matrix(), groupOf, groups, directions, left);
    }

    @Override
    public List<NormalEquations> normalEquations(
            byte[] groupOf, List<GroupPlan> groups, int[] ranks, List<EncodedMatrix> left) {
        return RightEquations.of(workers, problem.matrix(), problem.weights(), groupOf, groups, ranks, left);
    }

    @Override
    public Loss loss(CompressedMatrix approximation) {
        return MeasuredLoss.of(workers, problem, solver.packedRoot(), approximation);
    }

    @Override
    public void close() {
        // Everything is on the heap and the threads belong to the backend; the table of distortions is large.
        distortions = null;
    }
}
