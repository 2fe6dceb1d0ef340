package io.groupreduce.internal.reference;

import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Directions;
import java.util.List;
import java.util.function.IntToDoubleFunction;

/** The distortion of every row under every plan, as {@link io.groupreduce.spi.CompressionWorkspace#rate} words it. */
final class ReferenceRating {
    /** Scales that are tried for a row of INT3 or INT4, each a quarter of an octave below the one before. */
    private static final int SCALES = 12;

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
            double[][] coordinates = new double[bases.size()][];
            for (int b = 0; b < coordinates.length; b++) {
                coordinates[b] = new double[longest(plans, b)];
                for (int k = 0; k < coordinates[b].length; k++) {
                    coordinates[b][k] = ReferenceWorkspace.product(bases.get(b).projection(), k, row);
                }
            }
            for (int p = 0; p < plans.size(); p++) {
                GroupPlan plan = plans.get(p);
                double error = energy;
                if (plan.isDense()) {
                    error = dense(plan.codec(), row, energy);
                } else if (plan.isLowRank()) {
                    double[] c = coordinates[plan.basis()];
                    for (int k = 0; k < plan.rank(); k++) {
                        error -= c[k] * c[k];
                    }
                    error = Math.max(0, error)
                            + rounding(plan, c, bases.get(plan.basis()).scales());
                }
                distortions[i][p] = weights[i] * error;
            }
        }
        return distortions;
    }

    private static int longest(List<GroupPlan> plans, int basis) {
        return plans.stream()
                .filter(p -> p.basis() == basis)
                .mapToInt(GroupPlan::rank)
                .max()
                .orElse(0);
    }

    private double dense(Codec codec, float[] row, double energy) {
        if (codec == Codec.F32) {
            return 0;
        }
        if (codec == Codec.BF16) {
            return matrix.type() == DType.BF16 ? 0 : BF16_NOISE * energy;
        }
        double largest = 0;
        for (float value : row) {
            largest = Math.max(largest, Math.abs(value));
        }
        double scale = largest / codec.maxInteger();
        return scale * scale / 12 * trace;
    }

    /** The rounding error of the first coordinates of a row, {@code c} being as many as its basis's longest plan keeps. */
    private static double rounding(GroupPlan plan, double[] c, float[] scales) {
        Codec codec = plan.codec();
        if (codec == Codec.F32) {
            return 0;
        }
        double squares = 0;
        double unit = 0;
        double largest = 0;
        double largestOfAll = 0;
        for (int k = 0; k < c.length; k++) {
            double s = scales == null ? 1 : scales[k];
            largestOfAll = Math.max(largestOfAll, Math.abs(c[k] * s));
            if (k < plan.rank()) {
                squares += c[k] * c[k];
                unit += 1 / (s * s);
                largest = Math.max(largest, Math.abs(c[k] * s));
            }
        }
        if (codec == Codec.BF16) {
            return BF16_NOISE * squares;
        }
        if (codec == Codec.INT8) {
            double scale = largest == 0 ? 0 : Math.pow(2, Math.ceil(8 * log2(largest / codec.maxInteger())) / 8);
            return scale * scale / 12 * unit;
        }
        if (largestOfAll == 0) {
            return 0;
        }
        double least = Double.POSITIVE_INFINITY;
        double first = Math.ceil(8 * log2(largestOfAll / codec.maxInteger()));
        for (int t = 0; t < SCALES; t++) {
            double scale = Math.pow(2, (first - 2 * t) / 8);
            double sum = 0;
            for (int k = 0; k < plan.rank(); k++) {
                double s = scales == null ? 1 : scales[k];
                double integer = Math.clamp(Math.rint(c[k] * s / scale), -codec.maxInteger(), codec.maxInteger());
                double error = c[k] - integer * scale / s;
                sum += error * error;
            }
            least = Math.min(least, sum);
        }
        return least;
    }

    private static double log2(double value) {
        return Math.log(value) / Math.log(2);
    }
}
