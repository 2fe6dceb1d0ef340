package io.groupreduce.spi;

import io.groupreduce.matrix.CompressedMatrix;
import java.lang.foreign.Arena;

/**
 * Training of the factors of a {@link CalibrationProblem} by Adam (Kingma and Ba 2015, beta 0.9 and 0.99) on KL(dense ||
 * compressed), quantization in the loop: the forward pass uses what would be stored, and gradients pass the rounding
 * unchanged (straight through), to full-precision copies of the factors. Scales of left rows stay what they were; right rows
 * are rounded at the scale of their present largest magnitude. Rows of dense and zero groups are not trained.
 *
 * <p>Step sizes are relative: a step of rate r moves a number of row i of a left factor by about r times the root mean square
 * of that row at the start, one of a right row by r times the root mean square of that row, and a bias by r times 0.3. Used
 * by one thread at a time; the same calls give the same bits whatever the number of threads. No T x N array is made.
 */
public interface CalibrationSession extends AutoCloseable {
    /**
     * One step on a batch.
     *
     * @param hidden count x D row-major
     * @param rate the learning rate of this step
     * @return the mean KL in nats over the batch, before the step
     */
    double step(float[] hidden, int count, double rate);

    /**
     * The mean KL in nats of what would be stored now.
     *
     * @param hidden count x D row-major
     */
    double loss(float[] hidden, int count);

    /** What would be stored now, in new memory of {@code arena}; it has a bias exactly when one is trained. */
    CompressedMatrix snapshot(Arena arena);

    @Override
    void close();
}
