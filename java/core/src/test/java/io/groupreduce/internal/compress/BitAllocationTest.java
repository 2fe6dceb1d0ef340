package io.groupreduce.internal.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class BitAllocationTest {
    private static final int[] SIZES = {1, 2, 3, 5, 8, 12, 20, 32};

    private static double[] powerLaw(int directions) {
        double[] variances = new double[directions];
        Arrays.setAll(variances, j -> Math.pow(j + 1, -1.4));
        return variances;
    }

    @Test
    void rowsFillWholeBytesAndWidthsNeverRise() {
        for (double opening : new double[] {0, 0.8, 3}) {
            List<BitProfile> profiles = BitAllocation.profiles(powerLaw(100), SIZES, opening);
            assertEquals(SIZES.length, profiles.size());
            for (int s = 0; s < SIZES.length; s++) {
                assertEquals(8L * SIZES[s], profiles.get(s).rowBits());
                assertEquals(SIZES[s], profiles.get(s).rowBytes());
            }
        }
    }

    @Test
    void aDirectionThatCostsMoreBeginsWithMoreBits() {
        BitProfile many =
                BitAllocation.profiles(powerLaw(100), new int[] {12}, 0).get(0);
        BitProfile few =
                BitAllocation.profiles(powerLaw(100), new int[] {12}, 4).get(0);
        assertTrue(few.width() < many.width(), few + " " + many);
        assertTrue(few.bits(few.width() - 1) > many.bits(many.width() - 1), few + " " + many);
    }

    /** All ways to give 8 bits to 4 directions, by the error that a sample has. */
    @Test
    void noOtherSplitOfTheBitsLosesLess() {
        double[] variances = {4, 1, 0.3, 0.1};
        BitProfile found = BitAllocation.profiles(variances, new int[] {1}, 0).get(0);
        double least = Double.POSITIVE_INFINITY;
        List<Integer> best = new ArrayList<>();
        for (int code = 0; code < 4096; code++) {
            int[] bits = {code >> 9, code >> 6 & 7, code >> 3 & 7, code & 7};
            if (bits[0] + bits[1] + bits[2] + bits[3] == 8) {
                double sum = 0;
                for (int j = 0; j < 4; j++) {
                    sum += variances[j] * sampled(bits[j]);
                }
                if (sum < least) {
                    least = sum;
                    best = Arrays.stream(bits).filter(b -> b > 0).boxed().toList();
                }
            }
        }
        assertEquals(best, Arrays.stream(found.toArray()).boxed().toList());
    }

    /** The squared error of a unit Gaussian coded in so many bits. */
    private static double sampled(int bits) {
        Random random = new Random(bits);
        double sum = 0;
        int count = 20_000;
        for (int i = 0; i < count; i++) {
            double x = random.nextGaussian();
            double value = bits == 0
                    ? 0
                    : (double) CodeValues.value(bits, CodeValues.nearest(bits, (float) (x * CodeValues.DEVIATION)))
                            / CodeValues.DEVIATION;
            sum += (x - value) * (x - value);
        }
        return sum / count;
    }

    @Test
    void sizesBeyondAllDirectionsAreLeftOut() {
        List<BitProfile> profiles = BitAllocation.profiles(powerLaw(4), SIZES, 0);
        assertEquals(
                List.of(1, 2, 3), profiles.stream().map(p -> (int) p.rowBytes()).toList());
    }

    @Test
    void directionsWithoutEnergyMayGetBitsOnlyBehindTheOthers() {
        BitProfile profile = BitAllocation.profiles(new double[] {1, 0, 0, 0}, new int[] {1}, 0)
                .get(0);
        assertEquals(7, profile.bits(0));
        assertEquals(8, profile.rowBits());
    }
}
