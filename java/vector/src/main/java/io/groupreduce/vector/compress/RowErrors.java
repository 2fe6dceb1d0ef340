package io.groupreduce.vector.compress;

import static io.groupreduce.vector.compress.Distortions.ROWS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.internal.rows.Levels;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.matrix.ScaleSearch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What a tile of rows loses under every plan of one basis: energy beyond its rank, and the error of its codes.
 *
 * <pre>
 * residual_p = sum over j &gt;= k_p of c_j^2 + max(0, e - sum over all j of c_j^2)
 * error_p    = {@link CodeErrors} of y_j = c_j scale_j        (codes)
 *            = 2^-18 / 3 * sum over j &lt; k_p of c_j^2     (BF16)
 * </pre>
 *
 * <p>Long plans try the same scales and are measured together, short ones each with scales of its own. Residuals are summed from
 * the far end, where small numbers are. Bytes: 4 k_b ROWS of coordinates, from the second-level cache.
 */
final class RowErrors {
    /** The mean squared relative error of rounding to bfloat16. */
    static final double BF16_NOISE = Math.scalb(1.0, -18) / 3;

    private final Levels levels;
    private final int[] ranks;
    private final float[] scales;
    private final float[] errorWeights;
    /** Plans of the basis: their numbers among all, and what they are. */
    private final int[] numbers;

    private final GroupPlan[] plans;
    /** Plans of codes that are measured together, and what measures them. */
    private final List<int[]> together = new ArrayList<>();

    private final List<CodeErrors> codes = new ArrayList<>();
    private final float[] squares;
    private final float[] residuals;
    private final float[][] errors;

    /**
     * Makes room for one tile.
     *
     * @param scales of the coordinates, at least as many as the longest plan has
     * @param errorWeights u, likewise
     */
    RowErrors(List<GroupPlan> all, int basis, float[] scales, float[] errorWeights) {
        this.scales = scales;
        this.errorWeights = errorWeights;
        levels = Levels.of(all, basis);
        ranks = levels.ranks();
        squares = new float[levels.count() * ROWS];
        residuals = new float[levels.count() * ROWS];
        numbers = IntStream.range(0, all.size())
                .filter(p -> all.get(p).basis() == basis)
                .toArray();
        plans = Arrays.stream(numbers).mapToObj(all::get).toArray(GroupPlan[]::new);
        errors = new float[plans.length][ROWS];
        int[] scaled = IntStream.range(0, plans.length)
                .filter(p -> plans[p].profile().scaled())
                .toArray();
        IntStream.of(scaled).filter(p -> plans[p].rank() < ScaleSearch.NEAR).forEach(p -> together.add(new int[] {p}));
        together.add(IntStream.of(scaled)
                .filter(p -> plans[p].rank() >= ScaleSearch.NEAR)
                .toArray());
        together.removeIf(set -> set.length == 0);
        for (int[] set : together) {
            BitProfile[] profiles =
                    IntStream.of(set).mapToObj(p -> plans[p].profile()).toArray(BitProfile[]::new);
            codes.add(new CodeErrors(ScaleFormat.LOG8, profiles));
        }
    }

    /**
     * Rates a tile.
     *
     * @param coordinates c_j of ROWS rows, row r at {@code j * ROWS + r}; overwritten
     * @param energies e of each row
     * @param weights w of each row
     * @param target receives {@code w (residual + error)} of plan p at {@code p * ROWS + r}
     */
    void of(float[] coordinates, float[] energies, float[] weights, float[] target) {
        for (int r = 0; r < ROWS; r += LANES) {
            for (int l = 1; l < ranks.length; l++) {
                int j = ranks[l - 1];
                CoordinateKernel.measure(
                        coordinates, j * ROWS + r, ROWS, ranks[l] - j, scales, j, squares, l * ROWS + r);
            }
            for (int s = 0; s < codes.size(); s++) {
                float[][] lost = codes.get(s).of(coordinates, r, ROWS, errorWeights);
                for (int p = 0; p < lost.length; p++) {
                    System.arraycopy(lost[p], 0, errors[together.get(s)[p]], r, LANES);
                }
            }
        }
        residuals(energies);
        for (int p = 0; p < plans.length; p++) {
            int level = levels.of(plans[p].rank()) * ROWS;
            if (!plans[p].profile().scaled()) {
                numbers(plans[p], errors[p]);
            }
            for (int r = 0; r < ROWS; r++) {
                target[numbers[p] * ROWS + r] = weights[r] * (residuals[level + r] + errors[p][r]);
            }
        }
    }

    private void residuals(float[] energies) {
        int end = (ranks.length - 1) * ROWS;
        for (int r = 0; r < ROWS; r++) {
            float inside = 0;
            for (int at = end; at > 0; at -= ROWS) {
                residuals[at + r] = inside;
                inside += squares[at + r];
            }
            residuals[r] = inside;
            float outside = Math.max(0, energies[r] - inside);
            for (int at = end; at >= 0; at -= ROWS) {
                residuals[at + r] += outside;
            }
        }
    }

    /** Of numbers that are no codes: none, or noise relative to the energy kept. */
    private void numbers(GroupPlan plan, float[] error) {
        Arrays.fill(error, 0);
        if (plan.profile().most() == Short.SIZE) {
            for (int l = levels.of(plan.rank()); l > 0; l--) {
                for (int r = 0; r < ROWS; r++) {
                    error[r] += (float) (BF16_NOISE * squares[l * ROWS + r]);
                }
            }
        }
    }
}
