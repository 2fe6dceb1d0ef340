package io.groupreduce.vector.compress;

import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.vector.kernel.PackedMatrix;
import java.util.Arrays;

/**
 * What rows lose when they are stored as they are, in codes of one width with a scale for each block of a row.
 *
 * <pre>error = sum over blocks of min over scales s of sum over j of (x_j - value nearest to x_j / s * s)^2</pre>
 *
 * <p>A row is in a lane, as in {@link RowErrors}. Bytes: 4 D a row and four scales, from the caches.
 */
final class DenseErrors {
    private final int columns;
    private final int block;
    /** For whole blocks and for what is left of a row behind them. */
    private final CodeErrors whole;

    private final CodeErrors rest;
    private final float[] ones;

    /** For a plan of dense rows in codes. */
    DenseErrors(GroupPlan plan) {
        BitProfile profile = plan.profile();
        columns = profile.width();
        block = plan.block();
        whole = new CodeErrors(ScaleFormat.BF16, profile.prefix(block));
        rest = new CodeErrors(ScaleFormat.BF16, profile.prefix(columns % block));
        ones = new float[block];
        Arrays.fill(ones, 1);
    }

    /** The squared errors of the {@code count} rows that are the columns of a matrix. */
    void of(PackedMatrix rows, int count, float[] errors) {
        Arrays.fill(errors, 0, count, 0);
        for (int r = 0; r < count; r += LANES) {
            float[] panel = rows.panel(r / NR);
            for (int j = 0; j < columns; j += block) {
                CodeErrors part = j + block <= columns ? whole : rest;
                float[] lost = part.of(panel, j * NR + r % NR, NR, ones)[0];
                for (int lane = 0; lane < LANES && r + lane < count; lane++) {
                    errors[r + lane] += lost[lane];
                }
            }
        }
    }
}
