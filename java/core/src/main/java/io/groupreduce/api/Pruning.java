package io.groupreduce.api;

/**
 * Whether a head leaves out work that cannot change its answer. Answers are the same with every setting; only where a tolerance
 * for the log-sum-exp was given may that differ, within the tolerance.
 */
public enum Pruning {
    /** Bounds are kept and used for as long as they save more than they cost on the hidden states that come. */
    AUTO,
    /** Nothing is left out, and loading keeps no bounds. */
    OFF,
    /** Bounds are always used; for measurements and tests. */
    ALWAYS
}
