package io.groupreduce;

/** No choice of ranks meets the requested size; the message names the smallest that can be reached. */
public final class UnreachableTargetException extends GroupReduceException {
    private static final long serialVersionUID = 1L;

    private final long smallest;

    /**
     * A target out of reach.
     *
     * @param smallest the smallest size that can be reached, in the unit of the target
     */
    public UnreachableTargetException(String message, long smallest) {
        super(message, null);
        this.smallest = smallest;
    }

    /** The smallest size that can be reached, in the unit of the target. */
    public long smallest() {
        return smallest;
    }

    /**
     * A size with no room for a single direction.
     *
     * @param where what the message begins with: the matrix, or nothing
     */
    public static UnreachableTargetException noRoom(String where, long budget, SizeUnit unit, long smallest) {
        String word = unit == SizeUnit.BYTES ? " bytes" : " parameters";
        return new UnreachableTargetException(
                where + "The size target of " + budget + word
                        + " leaves no room for a single direction; the smallest possible is " + smallest + word
                        + ", so ask for a larger size or a smaller ratio.",
                smallest);
    }
}
