package io.groupreduce.models.run;

/**
 * What was collected.
 *
 * @param tensor the matrix that it is for
 * @param kind what the file holds
 * @param states T, or the tokens that the metric is taken of
 * @param columns D
 * @param type of the numbers in the file
 * @param sequences how many the model ran over
 * @param length tokens of each
 * @param tokens of all texts
 * @param crossEntropy nats a target under the model itself, on the sample that was checked; NaN of a metric
 * @param resumed sequences that an earlier run had done
 */
public record Collected(
        String tensor,
        int states,
        int columns,
        String type,
        Kind kind,
        int sequences,
        int length,
        long tokens,
        double crossEntropy,
        int resumed) {
    /** What a file holds. */
    public enum Kind {
        /** Hidden states and the tokens that followed. */
        NEXT_TOKENS,
        /** Hidden states where tokens were masked, and those tokens. */
        MASKED_TOKENS,
        /** How the outputs of an encoder depend on its embedding. */
        METRIC
    }
}
