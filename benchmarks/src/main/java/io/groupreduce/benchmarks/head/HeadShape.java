package io.groupreduce.benchmarks.head;

import io.groupreduce.error.InvalidOptionException;

/**
 * The size of a softmax matrix.
 *
 * @param rows N
 * @param columns D
 */
record HeadShape(int rows, int columns) {
    /** Reads {@code 151936x1024}. */
    static HeadShape parse(String text) {
        if (!text.matches("[1-9]\\d{0,7}x[1-9]\\d{0,4}")) {
            throw new InvalidOptionException("The size '" + text + "' is not of the form 151936x1024.");
        }
        String[] sides = text.split("x");
        return new HeadShape(Integer.parseInt(sides[0]), Integer.parseInt(sides[1]));
    }

    @Override
    public String toString() {
        return rows + "x" + columns;
    }
}
