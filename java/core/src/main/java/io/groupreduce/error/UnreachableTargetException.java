package io.groupreduce.error;

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
}
