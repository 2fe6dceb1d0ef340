package io.groupreduce.vector.compress;

import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What each width loses up to each coordinate at which a profile begins or ends to have it, at four scales, and the profiles' sums.
 *
 * <pre>profile's error at a scale = sum over widths b of E_b(end of b) - E_b(begin of b)</pre>
 *
 * <p>Numbers before the first bound of a width and behind its last one are not rounded to it. Bytes: 16 LANES a bound, in the first or second-level cache.
 */
final class WidthSums {
    private static final int ENTRY = CoordinateKernel.SCALES * LANES;

    /** By width, the bounds, and where its sums begin. */
    private final int[][] bounds = new int[CodeValues.MOST_BITS + 1][];

    private final int[] begins = new int[bounds.length];
    /** By profile, each of its widths, and where in the sums it begins and ends. */
    private final int[][] runs;

    private final float[] sums;

    /** For profiles of codes. */
    WidthSums(BitProfile... profiles) {
        int entries = 0;
        for (int bits = 1; bits < bounds.length; bits++) {
            int width = bits;
            bounds[bits] = Stream.of(profiles)
                    .filter(p -> p.atLeast(width) > p.atLeast(width + 1))
                    .flatMapToInt(p -> IntStream.of(p.atLeast(width + 1), p.atLeast(width)))
                    .sorted()
                    .distinct()
                    .toArray();
            begins[bits] = entries * ENTRY;
            entries += bounds[bits].length;
        }
        sums = new float[entries * ENTRY];
        runs = Stream.of(profiles).map(this::runs).toArray(int[][]::new);
    }

    private int[] runs(BitProfile profile) {
        return IntStream.range(1, bounds.length)
                .filter(bits -> profile.atLeast(bits) > profile.atLeast(bits + 1))
                .flatMap(bits -> {
                    int from = Arrays.binarySearch(bounds[bits], profile.atLeast(bits + 1));
                    int to = Arrays.binarySearch(bounds[bits], profile.atLeast(bits));
                    return IntStream.of(bits, begins[bits] + from * ENTRY, begins[bits] + to * ENTRY);
                })
                .toArray();
    }

    /**
     * Measures LANES rows at four scales.
     *
     * @param values y_j of the first row at {@code from + j * stride}
     * @param errorWeights u_j
     * @param inverses of the scales, LANES numbers for each, from {@code at} on
     */
    void measure(float[] values, int from, int stride, float[] errorWeights, float[] inverses, int at) {
        for (int bits = 1; bits < bounds.length; bits++) {
            if (bounds[bits].length > 0) {
                CoordinateKernel.round(
                        values, from, stride, errorWeights, bits, bounds[bits], inverses, at, sums, begins[bits]);
            }
        }
    }

    /** Lowers the errors of profile p, LANES numbers, to the least of those measured; scales from {@code at} on. */
    void least(int p, float[] scales, int at, float[] errors) {
        CoordinateKernel.least(sums, runs[p], scales, at, errors);
    }
}
