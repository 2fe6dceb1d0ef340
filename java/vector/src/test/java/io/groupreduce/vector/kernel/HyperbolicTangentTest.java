package io.groupreduce.vector.kernel;

import static io.groupreduce.vector.kernel.Lanes.LANES;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class HyperbolicTangentTest {
    @Test
    void capsAreAccurateForSmallAndForLargeNumbers() {
        int count = 400 * LANES;
        for (float cap : new float[] {1, 30}) {
            float[] x = new float[count + LANES];
            for (int i = 0; i < count; i++) {
                // From 1e-6 to 1e4, both signs.
                x[LANES + i] = (float) (Math.pow(10, 10.0 * i / count - 6) * (i % 2 == 0 ? 1 : -1));
            }
            x[LANES] = 0;
            x[LANES + 1] = -Float.MAX_VALUE / 2;
            float[] capped = x.clone();
            HyperbolicTangent.cap(capped, LANES, count, cap);
            for (int i = 0; i < x.length; i++) {
                double expected = i < LANES ? x[i] : cap * Math.tanh((double) x[i] / cap);
                assertEquals(
                        expected, capped[i], 4e-7 * Math.abs(expected) + Float.MIN_VALUE, "cap " + cap + " of " + x[i]);
            }
            capped[0] = Float.NaN;
            HyperbolicTangent.cap(capped, 0, LANES, cap);
            assertEquals(Float.NaN, capped[0]);
        }
    }
}
