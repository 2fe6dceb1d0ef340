package io.groupreduce.spi;

import java.util.Arrays;

/**
 * The directions of a basis, in order of falling use: orthonormal rows q_j in the space of A S.
 *
 * @param rank k, how many there are
 * @param projection k x D row-major, row j is q_j S: its product with A_i is coordinate j of row i
 * @param right k x D row-major, what turns coordinates back into a row: {@code q_j S^-1}, or a better fit
 * @param scales length k: what coordinate j is multiplied by before it is stored, and row j of {@code right} divided by;
 *     {@code null} means 1
 */
public record Directions(int rank, float[] projection, float[] right, float[] scales) {
    /** {@code u_j = 1 / scales[j]^2}: what an error of stored coordinate j counts; {@code null} when all count the same. */
    public float[] errorWeights() {
        if (scales == null) {
            return null;
        }
        float[] weights = new float[scales.length];
        for (int j = 0; j < weights.length; j++) {
            weights[j] = (float) (1 / ((double) scales[j] * scales[j]));
        }
        return weights;
    }

    /** The same directions with one scale, the smallest of theirs, so that coordinates keep their proportions. */
    public Directions evenly() {
        float[] same = scales.clone();
        Arrays.sort(same);
        Arrays.fill(same, same[0]);
        return withScales(same);
    }

    /** The same directions with other scales. */
    public Directions withScales(float[] value) {
        return new Directions(rank, projection, right, value);
    }
}
