package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.matrix.ScaleSearch;

/**
 * The scales that stored rows may have, as the host computes them: powers of two on the card could round to another
 * neighbour.
 */
final class ScaleTables {
    private final long log8;
    private final long steps;

    /** Copies the tables to the card. */
    ScaleTables(Owned owned) {
        float[] scales = ScaleFormat.log8Scales();
        float[] factors = new float[ScaleSearch.MOST];
        for (int t = 0; t < factors.length; t++) {
            factors[t] = ScaleSearch.step(t);
        }
        int bytes = Float.BYTES * (scales.length + factors.length);
        DeviceImage image = new DeviceImage(owned, bytes, "tables of scales");
        log8 = image.floats(scales, scales.length);
        steps = image.floats(factors, factors.length);
        image.upload();
    }

    /** The device address of the 256 scales of {@link ScaleFormat#LOG8}. */
    long log8() {
        return log8;
    }

    /** The device address of what multiplies the largest scale tried, step by step, where nearly any scale can be stored. */
    long steps() {
        return steps;
    }
}
