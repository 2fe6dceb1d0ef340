package io.groupreduce.models.sentence;

import io.groupreduce.api.Estimate;

/**
 * What a compression changed of sentences' vectors.
 *
 * @param sentences how many different ones
 * @param cut how many had more tokens than the tokenizer leaves of a text
 * @param meanCosine mean over sentences of the cosine between the vector of the original and that of the compressed model
 * @param lowCosine that which 1 % of the sentences do not reach
 * @param worstCosine the least
 * @param worst the sentence that has it
 * @param pooling how a vector came of the model's output, in words
 * @param matrix the compressed matrix whose rows were looked up; {@code null} where a whole model was run
 * @param ranks of pairs; {@code null} without
 */
public record SentenceScores(
        int sentences,
        int cut,
        double meanCosine,
        double lowCosine,
        double worstCosine,
        String worst,
        String pooling,
        String matrix,
        Ranks ranks) {
    /**
     * Spearman's correlation of cosines with the scores that people gave.
     *
     * @param pairs how many
     * @param columns where they stand, in words
     * @param before of the original, from -1 to 1
     * @param after of the compressed model
     * @param difference after less before; its interval is that of the paired bootstrap over pairs
     */
    public record Ranks(int pairs, String columns, double before, double after, Estimate difference) {}
}
