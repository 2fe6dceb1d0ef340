package io.groupreduce.spi;

/**
 * What stored rows lose, decoded as a reader will.
 *
 * @param weighted under the problem's weights and metric, {@code sum_i w_i ||(A_i - A^_i) S||^2}
 * @param counted under its count weights v and no metric, {@code sum_i v_i ||A_i - A^_i||^2}
 * @param countedEnergy {@code sum_i v_i ||A_i||^2}
 */
public record Loss(double weighted, double counted, double countedEnergy) {
    /** {@code sqrt(counted / countedEnergy)}, 0 for a matrix of zeros. */
    public double relativeError() {
        return countedEnergy == 0 ? 0 : Math.sqrt(counted / countedEnergy);
    }
}
