package io.groupreduce.backend;

import io.groupreduce.CompressedMatrix;
import io.groupreduce.EncodedMatrix;
import java.util.List;

/**
 * One matrix on its way through a compression. The steps are called in the order below and may be repeated; Gram matrices,
 * eigenvectors and row energies stay inside. Used by one thread at a time.
 */
public interface CompressionWorkspace extends AutoCloseable {
    /** The basis number of a row that belongs to no basis. */
    int NO_BASIS = 255;

    /** The weighted energy of the whole matrix, {@code sum_i w_i ||A_i S||^2}. */
    double energy();

    /**
     * Brings the Gram matrices up to date: {@code G_b = sum over rows i with basisOf[i] == b of w_i (A_i S)^T (A_i S)}. Only
     * rows whose basis differs from the call before need to be read.
     *
     * @param basisOf the basis of every row as an unsigned byte, {@link #NO_BASIS} for none; not kept
     * @param bases the number of bases, at most 254
     */
    void accumulate(byte[] basisOf, int bases);

    /**
     * The leading eigenpairs of every Gram matrix. The vectors stay inside as the bases of the steps that follow.
     *
     * @param ranks how many directions each basis needs, at most D; 0 computes only the trace
     */
    List<Spectrum> decompose(int[] ranks);

    /**
     * Finds for every row the candidate with the least {@code w_i * residual + price}, where the residual is the row's energy
     * outside the first {@code rank} directions of the basis (0 when dense). Ties go to the lower number, except that a dense
     * candidate may win over a low-rank one whose residual is nothing but rounding.
     *
     * @param current the candidate every row is in now
     * @param best receives the best candidate of every row
     * @param gain receives {@code objective(current) - objective(best)}, never negative
     */
    void assign(List<Candidate> candidates, byte[] current, byte[] best, float[] gain);

    /**
     * The right factor of a basis, {@code V^T S^-1}: rank x D, row-major, in order of falling energy. The sign of a row is
     * arbitrary.
     */
    float[] right(int basis, int rank);

    /**
     * Computes the left factor {@code A_i S V} of every row, or copies the row when its group is dense, and stores it in the
     * group's matrix; rows keep their order inside a group. Nothing is stored for a zero group.
     *
     * @param groupOf the group of every row as an unsigned byte
     * @param columnScales per basis, what the left columns are multiplied by before they are stored; {@code null} entries
     *     mean 1
     * @param left per group, room for its rows; {@code null} for a zero group
     */
    void encodeLeft(byte[] groupOf, List<GroupPlan> groups, List<float[]> columnScales, List<EncodedMatrix> left);

    /** The loss of what was stored, decoded as a reader will: {@code sum_i w_i ||(A_i - A^_i) S||^2}. */
    double loss(CompressedMatrix approximation);

    @Override
    void close();
}
