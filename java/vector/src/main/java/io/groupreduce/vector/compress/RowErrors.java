package io.groupreduce.vector.compress;

import static io.groupreduce.vector.compress.Distortions.ROWS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.internal.rows.Levels;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.GroupPlan;
import java.util.Arrays;
import java.util.List;

/**
 * What a tile of rows loses at every level of one basis: energy beyond the level, and rounding up to it.
 *
 * <pre>
 * residual_l = sum over j &gt;= k_l of c_j^2 + max(0, e - sum over all j of c_j^2)
 * error_l    = min over 12 scales s of sum over j &lt; k_l of u_j (y_j - round(y_j / s) s)^2   (INT3, INT4)
 *            = s_l^2 / 12 * sum over j &lt; k_l of u_j                                         (INT8)
 *            = 2^-18 / 3 * sum over j &lt; k_l of c_j^2                                        (BF16)
 * </pre>
 *
 * <p>Levels x ROWS numbers of each; sums run on from level to level, so all levels cost one pass over the coordinates, which
 * is read from the caches once for every four scales. Residuals are summed from the far end, where small numbers are. Bytes:
 * 4 k_b ROWS of coordinates, from the second-level cache. Never materialised: rounded coordinates.
 */
final class RowErrors {
    /** The mean squared relative error of rounding to bfloat16. */
    static final double BF16_NOISE = Math.scalb(1.0, -18) / 3;

    /** Scales weighed for a row of INT3 or INT4, each two eighths of an octave below the one before. */
    private static final int SCALES = 12;

    private final int[] ranks;
    private final Levels levels;
    private final boolean[] wanted = new boolean[Codec.values().length];
    private final float[] scales;
    private final float[] errorWeights;
    /** Per level, sum over j < k_l of u_j, a twelfth of it. */
    private final float[] uniform;

    private final float[] squares;
    private final float[] largest;
    private final float[] residuals;
    private final float[][] errors = new float[wanted.length][];
    private final float[] inverses = new float[SCALES * LANES];
    private final float[] negatives = new float[SCALES * LANES];
    private final float[] sums = new float[SCALES * LANES];

    /**
     * Makes room for one tile.
     *
     * @param scales of the coordinates, at least as many as the longest level
     * @param errorWeights u, likewise
     */
    RowErrors(Levels levels, List<GroupPlan> plans, int basis, float[] scales, float[] errorWeights) {
        this.levels = levels;
        this.ranks = levels.ranks();
        this.scales = scales;
        this.errorWeights = errorWeights;
        int room = levels.count() * ROWS;
        for (GroupPlan plan : plans) {
            wanted[plan.codec().ordinal()] |= plan.basis() == basis;
        }
        for (int c = 0; c < errors.length; c++) {
            errors[c] = new float[wanted[c] ? room : 0];
        }
        squares = new float[room];
        largest = new float[room];
        residuals = new float[room];
        uniform = levels.uniformNoise(errorWeights);
    }

    /**
     * Takes up a tile.
     *
     * @param coordinates c_j of ROWS rows, row r at {@code j * ROWS + r}; overwritten
     * @param energies e of each row
     */
    void of(float[] coordinates, float[] energies) {
        for (int r = 0; r < ROWS; r += LANES) {
            for (int l = 1; l < ranks.length; l++) {
                int j = ranks[l - 1];
                CoordinateKernel.measure(
                        coordinates, j * ROWS + r, ranks[l] - j, scales, j, squares, largest, l * ROWS + r);
            }
            integers(Codec.INT3, coordinates, r);
            integers(Codec.INT4, coordinates, r);
        }
        residuals(energies);
        if (wanted[Codec.INT8.ordinal()]) {
            bytes(errors[Codec.INT8.ordinal()]);
        }
        if (wanted[Codec.BF16.ordinal()]) {
            halves(errors[Codec.BF16.ordinal()]);
        }
    }

    /** Writes {@code w (residual + error)} of one plan. */
    void weigh(GroupPlan plan, float[] weights, float[] target, int at) {
        int from = levels.of(plan.rank()) * ROWS;
        float[] error = errors[plan.codec().ordinal()];
        for (int r = 0; r < ROWS; r++) {
            target[at + r] = weights[r] * (residuals[from + r] + error[from + r]);
        }
    }

    /** Rounding errors of LANES rows, measured. */
    private void integers(Codec codec, float[] coordinates, int r) {
        if (!wanted[codec.ordinal()]) {
            return;
        }
        float[] least = errors[codec.ordinal()];
        int last = (ranks.length - 1) * ROWS + r;
        for (int lane = 0; lane < LANES; lane++) {
            int exponent = ScaleGrid.exponent(largest[last + lane], codec.maxInteger());
            for (int t = 0; t < SCALES; t++) {
                inverses[t * LANES + lane] = ScaleGrid.scale(2 * t - exponent);
                negatives[t * LANES + lane] = -ScaleGrid.scale(exponent - 2 * t);
            }
        }
        Arrays.fill(sums, 0);
        for (int l = 1; l < ranks.length; l++) {
            int to = l * ROWS + r;
            Arrays.fill(least, to, to + LANES, Float.POSITIVE_INFINITY);
            int j = ranks[l - 1];
            for (int t = 0; t < SCALES; t += CoordinateKernel.SCALES) {
                CoordinateKernel.round(
                        coordinates,
                        j * ROWS + r,
                        ranks[l] - j,
                        errorWeights,
                        j,
                        inverses,
                        negatives,
                        sums,
                        t * LANES,
                        codec.maxInteger(),
                        least,
                        to);
            }
        }
    }

    private void residuals(float[] energies) {
        int last = (ranks.length - 1) * ROWS;
        for (int r = 0; r < ROWS; r++) {
            float inside = 0;
            for (int at = last; at > 0; at -= ROWS) {
                residuals[at + r] = inside;
                inside += squares[at + r];
            }
            residuals[r] = inside;
            float outside = Math.max(0, energies[r] - inside);
            for (int at = last; at >= 0; at -= ROWS) {
                residuals[at + r] += outside;
            }
        }
    }

    /** Uniform noise at the scale that clips nothing up to the level. */
    private void bytes(float[] error) {
        for (int r = 0; r < ROWS; r++) {
            float most = -1;
            float variance = 0;
            for (int l = 1; l < ranks.length; l++) {
                int at = l * ROWS + r;
                if (largest[at] != most) {
                    most = largest[at];
                    float scale = ScaleGrid.scale(ScaleGrid.exponent(most, Codec.INT8.maxInteger()));
                    variance = scale * scale;
                }
                error[at] = variance * uniform[l];
            }
        }
    }

    /** Noise relative to the energy kept. */
    private void halves(float[] error) {
        for (int r = 0; r < ROWS; r++) {
            float kept = 0;
            for (int at = ROWS + r; at < error.length; at += ROWS) {
                kept += squares[at];
                error[at] = (float) (BF16_NOISE * kept);
            }
        }
    }
}
