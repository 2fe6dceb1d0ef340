package io.groupreduce.cuda.training;

/**
 * What a step of Adam has for all numbers alike; see {@code gr_training_move} for the rest.
 *
 * @param rate the learning rate
 * @param number 1 for the first step
 */
record CudaAdamStep(double rate, int number) {
    /** What the first moment is multiplied by: the rate, and the correction of a moment that began at 0. */
    double length() {
        return rate / (1 - Math.pow(0.9, number));
    }

    /** What the second moment is multiplied by. */
    float secondScale() {
        return (float) (1 / (1 - Math.pow(0.99, number)));
    }
}
