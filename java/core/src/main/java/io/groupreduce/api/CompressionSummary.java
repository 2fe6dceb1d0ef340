package io.groupreduce.api;

import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import java.util.List;

/**
 * How a compressed matrix came about. It holds no memory of the matrix.
 *
 * @param type how the source is stored
 * @param rows N
 * @param columns D
 * @param storedType what the file of the source calls the type that it has there
 * @param sourceBytes what the source takes in its file
 * @param bytes bytes of all that replaces it in a file, its share of the header included; of what is in no file yet, the most it will take
 * @param options what was asked for, codecs filled in
 * @param metric whether the method measures its loss under a metric S; otherwise S is the identity
 * @param energy sum_i w_i ||A_i S||^2, weights of mean 1
 * @param loss what the method minimised, sum_i w_i ||(A_i - A^_i) S||^2, of what is stored, quantization included
 * @param relativeError the count-weighted relative error of what is stored, sqrt(sum_i (c_i + 1) ||A_i - A^_i||^2 / sum_i (c_i
 *     + 1) ||A_i||^2), 0 for a matrix of zeros: unlike the loss it compares between methods, since no weights or metric of a
 *     method's own are in it
 * @param spectra per basis, the eigenvalues that were computed
 * @param refinement the loss of every state of the refinement, the first one before any: for rate-distortion of what would be
 *     stored and only those better than all before, for the others before quantization
 * @param calibration mean KL on held-out hidden states before calibration and after each epoch; empty without one
 * @param heldOut where a loss was aimed at, what it came to; else {@code null}
 */
public record CompressionSummary(
        DType type,
        String storedType,
        int rows,
        int columns,
        long sourceBytes,
        long bytes,
        CompressionOptions options,
        boolean metric,
        double energy,
        double loss,
        double relativeError,
        List<Spectrum> spectra,
        List<Double> refinement,
        List<Double> calibration,
        HeldOut heldOut) {
    public CompressionSummary {
        spectra = List.copyOf(spectra);
        refinement = List.copyOf(refinement);
        calibration = List.copyOf(calibration);
    }

    /** Of an uncalibrated matrix. */
    public static CompressionSummary of(
            Matrix source,
            long bytes,
            CompressionOptions options,
            boolean metric,
            double energy,
            double loss,
            double relativeError,
            List<Spectrum> spectra,
            List<Double> refinement,
            HeldOut heldOut) {
        return new CompressionSummary(
                source.type(),
                source.storedType(),
                source.rows(),
                source.columns(),
                source.storedBytes(),
                bytes,
                options,
                metric,
                energy,
                loss,
                relativeError,
                spectra,
                refinement,
                List.of(),
                heldOut);
    }

    /**
     * What was measured on hidden states that nothing was fitted to, before any calibration.
     *
     * @param states how many
     * @param denseLoss mean cross-entropy of the dense softmax, in nats
     * @param compressedLoss that of the compressed one
     */
    public record HeldOut(int states, double denseLoss, double compressedLoss) {
        /** How much the loss rose: 0.01 is one percent. */
        public double increase() {
            return compressedLoss / denseLoss - 1;
        }
    }

    /** Bytes of the source / bytes of all that replaces it. */
    public double ratio() {
        return (double) sourceBytes / bytes;
    }

    /** The same of a matrix that takes this many bytes of its file. */
    public CompressionSummary withBytes(long itsBytes) {
        return with(itsBytes, loss, relativeError, calibration);
    }

    /**
     * The same with trained factors.
     *
     * @param itsLoss under the same weights and metric
     * @param itsError count-weighted
     * @param losses mean KL on held-out hidden states before calibration and after each epoch
     */
    public CompressionSummary calibrated(long itsBytes, double itsLoss, double itsError, List<Double> losses) {
        return with(itsBytes, itsLoss, itsError, losses);
    }

    private CompressionSummary with(long itsBytes, double itsLoss, double error, List<Double> losses) {
        return new CompressionSummary(
                type,
                storedType,
                rows,
                columns,
                sourceBytes,
                itsBytes,
                options,
                metric,
                energy,
                itsLoss,
                error,
                spectra,
                refinement,
                losses,
                heldOut);
    }
}
