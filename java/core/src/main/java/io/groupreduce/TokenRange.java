package io.groupreduce;

/**
 * The tokens that a matrix has rows for, out of a vocabulary.
 *
 * @param first the token of row 0
 * @param count rows
 * @param vocabulary tokens of the whole
 * @param partial whether other matrices have the rest
 */
record TokenRange(int first, int count, int vocabulary, boolean partial) {
    boolean holds(int token) {
        return token >= first && token - first < count;
    }
}
