package io.groupreduce.error;

/** A softmax head or an embedding table was asked after it had been closed. */
public final class ClosedHeadException extends GroupReduceException {
    private static final long serialVersionUID = 1L;

    public ClosedHeadException(String message) {
        super(message, null);
    }
}
