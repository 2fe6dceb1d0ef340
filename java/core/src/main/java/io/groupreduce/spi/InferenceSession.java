package io.groupreduce.spi;

import io.groupreduce.api.DeviceAnswers;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidDataException;
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
 * logits and sums asked for come out NaN or infinite and tokens -1, whatever tokens of other groups would have said. Where only tokens of
 * other groups are open or chosen, that or their answer comes out. The other states of the batch are answered.
 */
public interface InferenceSession extends AutoCloseable {
    /**
     * Answers all questions of a batch in one pass over the matrix, which is not made if there are none. The answer to a question
     * depends on the question and its state alone, not on its place, other questions, or the number of threads; only the rounding of logits may
     * differ with the number of states and the place among them, by less than a sum in binary32 loses, and that of sums with what else is left out.
     * Lists, choices and draws are exact for the logits as they were rounded: of tokens that tie within that, either may come first.
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

    /**
     * Copies hidden states from the memory of the session's device, as binary32, one directly after the other.
     *
     * @throws DeviceException if the session answers from the machine's memory
     * @throws InvalidDataException if the states do not lie in the device's memory
     */
    default void fetch(DeviceStates hidden, float[] target) {
        throw elsewhere();
    }

    /**
     * Queues answers to hidden states in the memory of the session's device, to be left there, and waits for nothing.
     *
     * @param scale what states are multiplied by
     * @param temperatures of a draw from all tokens for each state; 0 for the likeliest token, negative for none
     * @param keys of the draws' noise
     * @throws DeviceException if the session answers from the machine's memory
     * @throws InvalidDataException if states or buffers do not lie in the device's memory
     */
    default void answer(DeviceStates hidden, float scale, double[] temperatures, long[] keys, DeviceAnswers answers) {
        throw elsewhere();
    }

    private static DeviceException elsewhere() {
        return new DeviceException("This head answers from the machine's memory and cannot read that of a GPU; open it"
                + " with the device cuda, or give hidden states in an array or a segment.");
    }

    /** Frees what the session holds; calling it again does nothing. */
    @Override
    void close();
}
