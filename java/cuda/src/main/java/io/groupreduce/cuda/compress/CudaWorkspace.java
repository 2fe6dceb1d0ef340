package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
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
import java.util.List;
import java.util.function.Supplier;

/**
 * One matrix on its way through a compression, on an NVIDIA GPU: hands each step to the class that computes it and
 * keeps what steps share. Every step runs on the device's thread as a whole. A step that finds too little memory is
 * done again with smaller chunks of rows, at last with the matrix left on the host, before it fails.
 */
public final class CudaWorkspace implements CompressionWorkspace {
    private final Device device;
    private final float[] weights;
    private final Owned owned;
    private final DeviceMatrix matrix;
    private final CudaRowEnergies energies;
    private final CudaGramMatrices grams;
    private final CudaBasisSolver bases;
    private final CudaAssignment assignment;
    private final CudaRating rating;
    private final CudaLeftEncoder encoding;
    private final CudaRightEquations equations;
    private final CudaMeasuredLoss storedLoss;

    /**
     * Copies the matrix to the card, or gets ready to stream it where it does not fit. To be called on the device's thread;
     * any thread may call the methods.
     *
     * @param blas stays the caller's
     * @throws OutOfDeviceMemoryException if the card has no room even for the smallest chunks
     */
    public CudaWorkspace(Device device, Cublas blas, CompressionProblem problem) {
        this.device = device;
        weights = problem.weights();
        int columns = problem.matrix().columns();
        owned = new Owned(device);
        try {
            DeviceMetric metric = new DeviceMetric(owned, problem.metricRoot(), problem.metricRootInverse(), columns);
            // Before the matrix, which goes by what is free: NVIDIA's solver takes memory of its own.
            bases = new CudaBasisSolver(owned, blas, metric, columns);
            matrix = new DeviceMatrix(owned, problem.matrix(), weights);
            energies = new CudaRowEnergies(owned, blas, matrix, metric);
            GatheredRows gathered = new GatheredRows(owned, matrix);
            ProductSums sums = new ProductSums(owned, blas);
            grams = new CudaGramMatrices(owned, matrix, weights, energies, gathered, sums);
            assignment = new CudaAssignment(owned, blas, matrix, energies, gathered);
            rating = new CudaRating(owned, blas, matrix, metric, energies);
            encoding = new CudaLeftEncoder(device, blas, matrix, gathered);
            equations = new CudaRightEquations(device, matrix, gathered, sums);
            storedLoss = new CudaMeasuredLoss(device, blas, problem, matrix, metric, gathered);
        } catch (Throwable e) {
            owned.closeAfter(e);
            throw e;
        }
    }

    /** Runs a step, again with less memory for its chunks while the card has not enough. */
    private <T> T step(Supplier<T> work) {
        return device.call(() -> {
            boolean last = false;
            while (true) {
                try {
                    return work.get();
                } catch (OutOfDeviceMemoryException e) {
                    // What steps before kept for themselves may be all that is in the way.
                    owned.release();
                    boolean failed = last;
                    last = !matrix.shrink();
                    if (failed) {
                        throw new OutOfDeviceMemoryException(
                                "The matrix was left on the host and worked on " + matrix.chunkRows()
                                        + " rows at a time, and still: " + e.getMessage(),
                                e.asked());
                    }
                }
            }
        });
    }

    private void step(Runnable work) {
        step(() -> {
            work.run();
            return null;
        });
    }

    @Override
    public double energy() {
        return step(() -> {
            float[] found = energies.host();
            double sum = 0;
            for (int i = 0; i < found.length; i++) {
                sum += (double) weights[i] * found[i];
            }
            return sum;
        });
    }

    @Override
    public void accumulate(byte[] basisOf, int count) {
        step(() -> grams.update(basisOf, count));
    }

    @Override
    public List<Spectrum> decompose(int[] ranks) {
        return step(() -> bases.decompose(grams, ranks));
    }

    @Override
    public void assign(List<Candidate> candidates, byte[] current, byte[] best, float[] gain) {
        step(() -> assignment.run(bases, candidates, current, best, gain));
    }

    @Override
    public Directions directions(int basis, int rank) {
        return step(() -> bases.directions(basis, rank));
    }

    @Override
    public void rate(List<Directions> directions, List<GroupPlan> plans) {
        step(() -> rating.rate(directions, plans));
    }

    @Override
    public Choice choose(double price, double[] bytes, byte[] groupOf) {
        return step(() -> rating.choose(price, bytes, groupOf));
    }

    @Override
    public void encodeLeft(
            byte[] groupOf, List<GroupPlan> groups, List<Directions> directions, List<EncodedMatrix> left) {
        step(() -> {
            rating.forget();
            encoding.encode(groupOf, groups, directions, left);
        });
    }

    @Override
    public List<NormalEquations> normalEquations(
            byte[] groupOf, List<GroupPlan> groups, int[] ranks, List<EncodedMatrix> left) {
        return step(() -> equations.of(groupOf, groups, ranks, left));
    }

    @Override
    public Loss loss(CompressedMatrix approximation) {
        return step(() -> storedLoss.of(approximation));
    }

    @Override
    public void close() {
        owned.close();
    }
}
