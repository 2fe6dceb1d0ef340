package io.groupreduce.api;

import java.util.Locale;

/** A preset of groups, weights and ranks. */
public enum Method {
    /** One group, weights 1: the truncated singular value decomposition. */
    SVD,
    /** One group, rows weighted by frequency. */
    WEIGHTED_SVD,
    /**
     * Chen et al., "GroupReduce: Block-Wise Low-Rank Approximation for Neural Language Model Shrinking", NeurIPS 2018: groups
     * of equal count mass, ranks in proportion to a group's mean count, rows moved where their weighted error falls most.
     */
    GROUPREDUCE,
    /**
     * Every row takes the basis and bit profile where loss and the price of its bytes are least together; the price fills the
     * size target.
     */
    RATE_DISTORTION;

    /** The name used on the command line and in the metadata: {@code weighted-svd}. */
    public String label() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** Whether rows are weighted by their counts. */
    public boolean weighted() {
        return this != SVD;
    }

    /** Whether the vocabulary is split into groups with a basis each. */
    public boolean grouped() {
        return this == GROUPREDUCE;
    }
}
