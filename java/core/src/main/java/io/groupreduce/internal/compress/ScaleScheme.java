package io.groupreduce.internal.compress;

import io.groupreduce.matrix.ScaleFormat;

/** Which scales the integers of factors get. */
enum ScaleScheme {
    /** The paper's methods: bfloat16, one a row; right rows take the smallest scale that clips nothing. */
    PLAIN(ScaleFormat.BF16),
    /**
     * Rate-distortion. A scale of coordinates takes one byte: measured, a second one buys less than another coordinate does;
     * {@link StartingBases} sees to it that they are of a size that the one byte reaches.
     *
     * <p>The error of a right factor reaches every row, and a direction may lie near one axis: then a scale for all D numbers
     * leaves most of them none of the 127 levels, so 32 numbers share one, that of least error.
     */
    COMPACT(ScaleFormat.LOG8);

    /**
     * Of right factors and dense rows: they keep the magnitude that matrix and metric have, whatever it is, and the bytes of their
     * scales are few.
     */
    static final ScaleFormat WIDE = ScaleFormat.BF16;

    /** Of coordinates. */
    final ScaleFormat left;

    ScaleScheme(ScaleFormat left) {
        this.left = left;
    }
}
