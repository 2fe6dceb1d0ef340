package io.groupreduce.internal.compress;

import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The bases that rate-distortion begins with: all eigenvectors of the weighted Gram matrix of all rows, or of each of several
 * groups of equal count mass. Where the matrix has fewer rows than columns, as many as rows: no more are needed for all of them.
 *
 * @param directions with the scales that split their energy between left and right factors
 * @param spectra their eigenvalues
 */
record StartingBases(List<Directions> directions, List<Spectrum> spectra) {
    /**
     * Directions are found under weights (c + 1)^(1/8), whatever the exponent of the loss. Frequent rows keep most directions
     * anyway, so it is the rare ones, cut short, that the order of directions matters to. Measured against weights of the
     * loss itself: 4 to 12 % less loss at the same size on two models, 1/8 the best or next to it at every size.
     */
    private static final double EXPONENT = 0.125;

    /** Stored coordinates are all of the same deviation, the one that {@link CodeValues} are made for; right rows have the rest. */
    private static final double BALANCE = -0.5;

    /** Directions weaker than this, relative to the first, are scaled as if they were this strong. */
    private static final double LEAST_ENERGY = 1e-9;

    /** The value of a code of one bit at the largest scale of one byte, but for an octave to spare for turned directions. */
    private static final double LARGEST_COORDINATE = 32 * 128;

    /** Finds {@code bases} bases; they depend on the counts and the metric, not on the weights of the loss. */
    static StartingBases of(CompressionTask task, int bases) {
        Matrix matrix = task.matrix();
        byte[] basisOf = bases == 1 ? new byte[matrix.rows()] : EqualMassGroups.of(task.counts(), bases);
        double[] raw = Weights.raw(task.counts(), EXPONENT);
        double leastWeight = leastWeight(Weights.scaledToMeanOne(raw));
        try (CompressionWorkspace workspace = task.open(raw)) {
            task.energy(workspace);
            workspace.accumulate(basisOf, bases);
            int rank = Math.min(matrix.rows(), matrix.columns());
            int[] ranks = new int[bases];
            Arrays.fill(ranks, rank);
            List<Spectrum> spectra = workspace.decompose(ranks);
            List<Directions> directions = new ArrayList<>();
            for (int b = 0; b < bases; b++) {
                Directions plain = workspace.directions(b, rank);
                directions.add(plain.withScales(scales(spectra.get(b).values(), leastWeight)));
            }
            return new StartingBases(directions, spectra);
        }
    }

    private static double leastWeight(float[] weights) {
        float least = Float.POSITIVE_INFINITY;
        for (float weight : weights) {
            least = Math.min(least, weight);
        }
        return least;
    }

    /**
     * Powers of the energies, times a factor that makes the scale of the largest conceivable row a scale that one byte can
     * store: w_i c_ij^2 <= energy j, so |c_ij| <= sqrt(energy j / least weight). Rows down to 2^-30 of that are stored as
     * finely; the magnitude of matrix and metric goes to the right factor.
     */
    private static float[] scales(double[] energies, double leastWeight) {
        double[] powers = new double[energies.length];
        double strongest = energies[0] > 0 ? energies[0] : 1;
        double largest = 0;
        for (int k = 0; k < powers.length; k++) {
            powers[k] = Math.pow(Math.max(LEAST_ENERGY, energies[k] / strongest), BALANCE);
            largest = Math.max(largest, powers[k] * Math.sqrt(energies[k] / leastWeight));
        }
        double factor = largest > 0 ? LARGEST_COORDINATE / largest : 1;
        float[] scales = new float[energies.length];
        for (int k = 0; k < scales.length; k++) {
            scales[k] = (float) (powers[k] * factor);
        }
        return scales;
    }
}
