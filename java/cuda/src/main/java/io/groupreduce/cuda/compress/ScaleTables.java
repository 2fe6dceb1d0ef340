package io.groupreduce.cuda.compress;

import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.matrix.ScaleSearch;
import java.util.Arrays;

/**
 * The scales that stored rows may have, as the host computes them: powers of two on the card could round to another
 * neighbour.
 */
final class ScaleTables {
    private final long log8;
    private final long fine;

    /** Copies the tables to the card. */
    ScaleTables(Owned owned) {
        float[] scales = ScaleFormat.log8Scales();
        float[] factors = new float[ScaleSearch.MOST];
        candidates(Codec.INT4, ScaleFormat.F32, factors);
        int bytes = Float.BYTES * (scales.length + factors.length);
        DeviceImage image = new DeviceImage(owned, bytes, "tables of scales");
        log8 = image.floats(scales, scales.length);
        fine = image.floats(factors, factors.length);
        image.upload();
    }

    /** The device address of the 256 scales of {@link ScaleFormat#LOG8}. */
    long log8() {
        return log8;
    }

    /**
     * The device address of what multiplies the scale that clips nothing, step by step, where nearly any scale can be
     * stored.
     */
    long fine() {
        return fine;
    }

    /** How many scales are tried after the one that clips nothing. */
    static int steps(Codec codec, ScaleFormat format) {
        return candidates(codec, format, new float[ScaleSearch.MOST]) - 1;
    }

    /** Candidates for numbers that the scale 1 stores without clipping, which are all of their kind. */
    private static int candidates(Codec codec, ScaleFormat format, float[] into) {
        Arrays.fill(into, 0);
        return ScaleSearch.candidates(codec, format, codec.maxInteger(), into);
    }
}
