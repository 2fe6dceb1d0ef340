package io.groupreduce.error;

/** No choice of ranks is sure to meet the requested size; the message names the smallest that can be asked for. */
public final class UnreachableTargetException extends GroupReduceException {
    private static final long serialVersionUID = 1L;

    private final long smallest;

    /**
     * A target out of reach.
     *
     * @param smallest the smallest size that can be asked for, in the unit of the target
     */
    public UnreachableTargetException(String message, long smallest) {
        super(message, null);
        this.smallest = smallest;
    }

    /**
     * The smallest size that can be asked for, in the unit of the target. Headers are counted at their longest before there is a file, so
     * that of this size takes some hundred bytes less.
     */
    public long smallest() {
        return smallest;
    }
}
