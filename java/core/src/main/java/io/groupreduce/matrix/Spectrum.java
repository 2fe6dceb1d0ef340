package io.groupreduce.matrix;

/**
 * The eigenvalues of one weighted Gram matrix.
 *
 * @param trace the sum of all D eigenvalues: the weighted energy of the basis's rows
 * @param values the leading eigenvalues, descending, none negative
 */
public record Spectrum(double trace, double[] values) {
    /** The weighted loss when {@code rank} directions are kept. */
    public double loss(int rank) {
        double kept = 0;
        for (int j = 0; j < rank; j++) {
            kept += values[j];
        }
        return Math.max(0, trace - kept);
    }
}
