package io.groupreduce.spi;

import java.lang.foreign.MemorySegment;

/**
 * A compressed matrix that is loaded and answers batches: with {@code y = A^ h + bias} for each of some hidden states h, and where there
 * is a cap c then {@code c tanh(y / c)}. No method writes the logits of a batch as a whole, but {@link #logits} on request.
 *
 * <p>Hidden states are {@code states} rows of D numbers in a row-major array, which may be longer. Methods may be called by several threads
 * at once, but not during or after {@link #close}. All input is valid: finite hidden states, lists no longer than what they are taken from,
 * tokens of the vocabulary.
 *
 * <p>Finite numbers may still be too large: of a state with a coordinate R h or a logit beyond binary32 that an answer depends on, the
 * logits and sums asked for come out NaN or infinite and tokens -1, whatever tokens of other groups would have said. The other
 * states of the batch are answered.
 */
public interface InferenceSession extends AutoCloseable {
    /**
     * Answers all questions of a batch in one pass over the matrix, which is not made if there are none. The answer to a question
     * depends on the question and its state alone, not on its place, other questions, or the number of threads; only the rounding of logits may
     * differ with the number of states.
     *
     * @param questions the first {@code count} are asked, in order of their states; of a list where the state has no answer, tokens come out -1
     *     and logits NaN
     * @param chosen {@code null} for none
     */
    void answer(float[] hidden, int states, Question[] questions, int count, Chosen chosen);

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
