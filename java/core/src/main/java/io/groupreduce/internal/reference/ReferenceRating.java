package io.groupreduce.internal.reference;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.Directions;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.function.IntToDoubleFunction;

/** The distortion of every row under every plan, as {@link io.groupreduce.spi.CompressionWorkspace#rate} words it. */
final class ReferenceRating {
    /** The mean squared relative error of rounding to bfloat16. */
    private static final double BF16_NOISE = Math.scalb(1.0, -18) / 3;

    private final Matrix matrix;
    private final float[] weights;
    private final double trace;

    ReferenceRating(Matrix matrix, float[] weights, double[] root) {
        this.matrix = matrix;
        this.weights = weights;
        double sum = root == null ? matrix.columns() : 0;
        for (int j = 0; root != null && j < root.length; j++) {
            sum += root[j] * root[j];
        }
        trace = sum;
    }

    /** Rows x plans. */
    double[][] of(List<Directions> bases, List<GroupPlan> plans, IntToDoubleFunction energyOf) {
        double[][] distortions = new double[matrix.rows()][plans.size()];
        float[] row = new float[matrix.columns()];
        for (int i = 0; i < distortions.length; i++) {
            matrix.readRow(i, row, 0);
            double energy = energyOf.applyAsDouble(i);
            for (int p = 0; p < plans.size(); p++) {
                GroupPlan plan = plans.get(p);
                double error = energy;
                if (plan.isDense()) {
                    error = dense(plan, row, energy);
                } else if (plan.isLowRank()) {
                    error = lowRank(plan, bases.get(plan.basis()), row, energy);
                }
                distortions[i][p] = weights[i] * error;
            }
        }
        return distortions;
    }

    private double dense(GroupPlan plan, float[] row, double energy) {
        BitProfile profile = plan.profile();
        if (!profile.scaled()) {
            return profile.most() == Float.SIZE || matrix.type() == DType.BF16 ? 0 : BF16_NOISE * energy;
        }
        return rounding(plan, ScaleFormat.BF16, row, null) * trace / row.length;
    }

    private static double lowRank(GroupPlan plan, Directions basis, float[] row, double energy) {
        int rank = plan.rank();
        float[] scaled = new float[rank];
        float[] counted = new float[rank];
        double kept = 0;
        for (int k = 0; k < rank; k++) {
            double c = ReferenceWorkspace.product(basis.projection(), k, row);
            double scale = basis.scales() == null ? 1 : basis.scales()[k];
            kept += c * c;
            scaled[k] = (float) (c * scale);
            counted[k] = (float) (1 / (scale * scale));
        }
        double error = Math.max(0, energy - kept);
        if (!plan.profile().scaled()) {
            return plan.profile().most() == Float.SIZE ? error : error + BF16_NOISE * kept;
        }
        return error + rounding(plan, ScaleFormat.LOG8, scaled, counted);
    }

    /** The squared error of a row as it would be stored. */
    private static double rounding(GroupPlan plan, ScaleFormat format, float[] values, float[] counted) {
        try (Arena arena = Arena.ofConfined()) {
            EncodedMatrix stored = EncodedMatrix.allocate(arena, plan.profile(), 1, plan.block(), format);
            float[] decoded = new float[values.length];
            stored.encodeRow(0, values, 0, counted);
            stored.decodeRow(0, decoded, 0);
            double sum = 0;
            for (int k = 0; k < values.length; k++) {
                double off = (double) values[k] - decoded[k];
                sum += (counted == null ? 1 : counted[k]) * off * off;
            }
            return sum;
        }
    }
}
