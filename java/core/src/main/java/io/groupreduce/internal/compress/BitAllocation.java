package io.groupreduce.internal.compress;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The bit profiles of a basis: one bit after the other goes to the direction whose error falls most for it (marginal returns; Shoham and
 * Gersho 1988). Where all directions are used that is reverse water-filling, which leaves every direction the same error; a profile is
 * cut wherever a row's codes fill whole bytes, so that no bit of the last byte is wasted.
 *
 * <p>A direction has a price of its own beside its bits, since a query's time follows the number of coordinates: with a high one
 * directions begin with several bits, and fewer of them do.
 */
final class BitAllocation {
    /** What is left of the variance of a Gaussian coordinate of {@link CodeValues#DEVIATION}, by bits of its code. */
    private static final double[] DISTORTION = distortions();

    /** More bits than this bring nothing at any ratio measured, and 6 instead of 7 lose 2 % at 15x. */
    private static final int WIDEST = 7;

    private final double[] variances;
    private final double opening;
    private final int[] bits;
    /** Entry w: how many directions have at least w bits. */
    private final int[] reach = new int[WIDEST + 2];

    private int total;

    /**
     * Begins with no bits.
     *
     * @param variances of the coordinates, falling
     * @param opening what a direction costs beside its bits, in bits
     */
    private BitAllocation(double[] variances, double opening) {
        this.variances = variances;
        this.opening = opening;
        bits = new int[variances.length];
    }

    /**
     * The profiles of given sizes.
     *
     * @param variances of the coordinates, falling
     * @param bytes of a row's codes, rising
     * @param opening what a direction costs beside its bits, in bits
     * @return at most as many as sizes: those beyond all directions at {@link #WIDEST} bits are left out
     */
    static List<BitProfile> profiles(double[] variances, int[] bytes, double opening) {
        BitAllocation allocation = new BitAllocation(variances, opening);
        List<BitProfile> profiles = new ArrayList<>();
        for (int size : bytes) {
            if (!allocation.fill(Byte.SIZE * size)) {
                break;
            }
            profiles.add(allocation.profile());
        }
        return profiles;
    }

    /** Adds bits until there are {@code target}; {@code false} where directions cannot take so many. */
    private boolean fill(int target) {
        while (total < target) {
            int best = -1;
            int bestStep = 0;
            double most = -1;
            int room = target - total;
            // Of directions of the same width only the first, the strongest, may grow: widths never rise.
            for (int had = WIDEST - 1; had >= 0; had--) {
                int j = reach[had + 1];
                if (j == (had == 0 ? bits.length : reach[had])) {
                    continue;
                }
                int widest = j == 0 ? WIDEST : bits[j - 1];
                int steps = had == 0 ? Math.min(room, widest) : 1;
                for (int step = 1; step <= steps; step++) {
                    double gain = variances[j]
                            * (DISTORTION[had] - DISTORTION[had + step])
                            / (step + (had == 0 ? opening : 0));
                    if (gain > most) {
                        most = gain;
                        best = j;
                        bestStep = step;
                    }
                }
            }
            if (best < 0) {
                return false;
            }
            for (int step = 0; step < bestStep; step++) {
                reach[++bits[best]]++;
            }
            total += bestStep;
        }
        return true;
    }

    private BitProfile profile() {
        return BitProfile.of(Arrays.copyOf(bits, reach[1]));
    }

    /** By numerical integration over the density, with {@link CodeValues#nearest} itself. */
    private static double[] distortions() {
        double[] distortions = new double[CodeValues.MOST_BITS + 1];
        distortions[0] = 1;
        int points = 24_000;
        double reach = 6;
        for (int b = 1; b < distortions.length; b++) {
            double sum = 0;
            double mass = 0;
            for (int i = 0; i <= points; i++) {
                double x = reach * (2.0 * i / points - 1);
                double density = Math.exp(-x * x / 2);
                double at = x * CodeValues.DEVIATION;
                double off = at - CodeValues.value(b, CodeValues.nearest(b, (float) at));
                sum += density * off * off;
                mass += density;
            }
            distortions[b] = sum / mass / CodeValues.DEVIATION / CodeValues.DEVIATION;
        }
        return distortions;
    }
}
