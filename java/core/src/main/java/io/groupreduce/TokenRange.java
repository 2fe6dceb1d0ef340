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

    /** Whether both are parts of one vocabulary and have no token in common. */
    boolean completes(TokenRange other) {
        return vocabulary == other.vocabulary && (first + count <= other.first || other.first + other.count <= first);
    }

    /** For a person. */
    @Override
    public String toString() {
        return "tokens " + first + " to " + (first + count - 1) + " of " + vocabulary;
    }
}
