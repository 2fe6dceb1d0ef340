package io.groupreduce.spi;

import io.groupreduce.api.Sampling;
import java.lang.foreign.MemorySegment;

/**
 * A compressed matrix that is loaded and answers batches: with z = A^ h + bias for each of some hidden states h. No method writes
 * the logits of a batch as a whole, but {@link #logits} on request.
 *
 * <p>Hidden states are {@code states} rows of D numbers in a row-major array, which may be longer; results for state s lie at s, or at
 * {@code s * k} onward. Methods may be called by several threads at once, but not during or after {@link #close}. All input is valid:
 * finite hidden states, k from 0 to N, tokens of the vocabulary.
 *
 * <p>Finite numbers may still be too large: of a state with a coordinate R h or a logit beyond binary32 that an answer depends on, the
 * logits and log-sum-exp asked for come out NaN or infinite and tokens -1, whatever tokens of other groups would have said. The other
 * states of the batch are answered.
 */
public interface InferenceSession extends AutoCloseable {
    /**
     * The k tokens of largest logit, best first, ties to the lower token.
     *
     * @param k 0 to N
     * @param tokens receives states x k
     * @param logits receives states x k
     * @param logSumExp receives one number a state; {@code null} when it is not wanted, which leaves more work out
     */
    void top(float[] hidden, int states, int k, int[] tokens, float[] logits, double[] logSumExp);

    /**
     * The logit of one given token for each state.
     *
     * @param targets one token a state
     * @param logits receives one number a state
     * @param logSumExp receives one number a state; {@code null} when it is not wanted
     */
    void score(float[] hidden, int states, int[] targets, float[] logits, double[] logSumExp);

    /**
     * Draws one token a state, with the noise of {@link io.groupreduce.internal.select.GumbelNoise}.
     *
     * @param sampling its topK is 0 or below N
     * @param tokens receives one token a state
     */
    void sample(float[] hidden, int states, Sampling sampling, long seed, int[] tokens);

    /**
     * All logits, in the order of tokens.
     *
     * @param target receives states x N floats in the machine's byte order
     */
    void logits(float[] hidden, int states, MemorySegment target);

    /**
     * Rows of A^, without the bias.
     *
     * @param tokens {@code count} of them from index 0 on
     * @param target receives count x D floats from {@code offset} on
     */
    void rows(int[] tokens, int count, float[] target, int offset);

    /** Frees what the session holds; calling it again does nothing. */
    @Override
    void close();
}
