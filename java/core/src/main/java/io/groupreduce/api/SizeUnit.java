package io.groupreduce.api;

/** What a size target counts. */
public enum SizeUnit {
    /** Every stored byte: factors, scales, dense rows, group numbers. */
    BYTES,
    /** Stored numbers of factors and dense rows alone, as the paper's tables do. */
    PARAMETERS
}
