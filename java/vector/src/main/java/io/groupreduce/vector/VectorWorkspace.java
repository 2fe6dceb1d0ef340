package io.groupreduce.vector;

import io.groupreduce.CompressedMatrix;
import io.groupreduce.EncodedMatrix;
import io.groupreduce.backend.Candidate;
import io.groupreduce.backend.CompressionProblem;
import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.backend.GroupPlan;
import io.groupreduce.backend.Spectrum;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * One matrix on its way through a compression, on the processor: hands each step to the class that computes it and keeps what
 * steps share. A row costs 5 bytes here besides its weight: its energy and its last basis.
 */
final class VectorWorkspace implements CompressionWorkspace {
    /** The largest D whose bases are solved at the same time: at 2,048 a D x D matrix in double takes 34 MB. */
    private static final int SOLVED_TOGETHER = 2048;

    private final Workers workers;
    private final CompressionProblem problem;
    private final int columns;
    private final BasisSolver solver;
    private final float[] energies;
    private final GramMatrices grams;
    private Basis[] bases = {};

    VectorWorkspace(Workers workers, CompressionProblem problem) {
        this.workers = workers;
        this.problem = problem;
        columns = problem.matrix().columns();
        solver = new BasisSolver(columns, problem.metricRoot());
        energies = RowEnergies.of(workers, problem.matrix(), solver.packedRoot());
        grams = new GramMatrices(
                new GramAccumulator(workers, problem.matrix(), problem.weights()), problem.weights(), energies);
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
            found[b] = ranks[b] == 0
                    ? new Eigenpairs(new double[0], new float[0])
                    : solver.solve(inner, grams.gram(b), ranks[b], guess);
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
        int winner = DenseAssignment.winner(candidates);
        if (winner >= 0) {
            DenseAssignment.run(workers, problem, energies, bases, candidates, winner, current, best, gain);
        } else {
            new Assignment(problem, energies, bases, candidates).run(workers, current, best, gain);
        }
    }

    @Override
    public float[] right(int basis, int rank) {
        float[] vectors = bases[basis].vectors();
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
    public void encodeLeft(
            byte[] groupOf, List<GroupPlan> groups, List<float[]> columnScales, List<EncodedMatrix> left) {
        LeftEncoder.run(workers, problem.matrix(), bases, groupOf, groups, columnScales, left);
    }

    @Override
    public double loss(CompressedMatrix approximation) {
        return MeasuredLoss.of(workers, problem.matrix(), problem.weights(), solver.packedRoot(), approximation);
    }

    @Override
    public void close() {
        // Everything is on the heap; the threads belong to the backend.
    }
}
