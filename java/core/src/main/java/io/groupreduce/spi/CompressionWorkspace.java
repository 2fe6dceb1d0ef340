package io.groupreduce.spi;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Spectrum;
import java.util.List;

/**
 * One matrix on its way through a compression. The steps are called in the order below and may be repeated; Gram matrices,
 * eigenvectors and row energies stay inside. Used by one thread at a time.
 */
public interface CompressionWorkspace extends AutoCloseable {
    /** The weighted energy of the whole matrix, {@code sum_i w_i ||A_i S||^2}. */
    double energy();

    /**
     * Brings the Gram matrices up to date: {@code G_b = sum over rows i with basisOf[i] == b of w_i (A_i S)^T (A_i S)}. Only
     * rows whose basis differs from the call before need to be read. Of a basis of fewer rows than columns no Gram matrix need
     * be made: its eigenvectors follow from the products of its rows with each other.
     *
     * @param basisOf the basis of every row as an unsigned byte, {@link GroupPlan#DENSE} for none; not kept
     * @param bases the number of bases, at most 254
     */
    void accumulate(byte[] basisOf, int bases);

    /**
     * The leading eigenpairs of every Gram matrix. The vectors stay inside as the bases of the steps that follow.
     *
     * @param ranks how many directions each basis needs, at most D; 0 computes only the trace. Directions that the rows do not
     *     have, because they are fewer or depend on each other, have no energy and are arbitrary, but orthonormal
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
     * The directions of a basis of the last {@link #decompose}: projection {@code V^T S} and right {@code V^T S^-1}, without
     * scales. The sign of a direction is arbitrary.
     */
    Directions directions(int basis, int rank);

    /**
     * Rates every way to store every row: {@code distortion(i, p) = w_i (energy of row i outside the first rank directions + error
     * of its codes)}, kept inside for {@link #choose} until {@link #encodeLeft}. All plans of a basis cost one projection.
     *
     * <p>The error of codes is measured as they would be stored: at the scale of least error among the candidates of {@link
     * io.groupreduce.matrix.ScaleSearch}, or among those of other plans of the row too; an error of coordinate j counts {@code 1 /
     * scales[j]^2}. The error of dense rows of codes is measured without the metric and seen through it as if it were alike in all
     * directions: {@code error / D * trace(S^2)}. Rounding to bfloat16 is not measured: {@code 2^-18 / 3} of the energy.
     *
     * @param plans at most 255; {@link GroupPlan#basis} numbers {@code bases}
     */
    void rate(List<Directions> bases, List<GroupPlan> plans);

    /**
     * Finds for every row the plan with the least {@code distortion + price * bytes}, ties to the lower number.
     *
     * @param bytes per plan, what a row costs there; infinite bars a plan, but one at least must be open
     * @param groupOf receives the chosen plan of every row
     */
    Choice choose(double price, double[] bytes, byte[] groupOf);

    /**
     * Computes the left factor of every row, its scaled coordinates, or copies the row when its group is dense, and stores it
     * in the group's matrix; rows keep their order inside a group. Nothing is stored for a zero group. Codes take
     * the scale of least error, where an error of coordinate j counts {@code 1 / scales[j]^2}.
     *
     * @param groupOf the group of every row as an unsigned byte
     * @param left per group, room for its rows; {@code null} for a zero group
     */
    void encodeLeft(byte[] groupOf, List<GroupPlan> groups, List<Directions> bases, List<EncodedMatrix> left);

    /**
     * The normal equations of the right factors, given what {@link #encodeLeft} stored.
     *
     * @param ranks per basis, k_b; no group of the basis has a larger rank
     */
    List<NormalEquations> normalEquations(
            byte[] groupOf, List<GroupPlan> groups, int[] ranks, List<EncodedMatrix> left);

    /** The loss of what was stored, measured in one pass over the matrix. */
    Loss loss(CompressedMatrix approximation);

    @Override
    void close();
}
