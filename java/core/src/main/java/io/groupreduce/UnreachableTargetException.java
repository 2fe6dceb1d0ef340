package io.groupreduce;

/** No choice of ranks meets the requested size; the message names the smallest that can be reached. */
public final class UnreachableTargetException extends GroupReduceException {
    private static final long serialVersionUID = 1L;

    public UnreachableTargetException(String message) {
        super(message, null);
    }

    public UnreachableTargetException(String message, Throwable cause) {
        super(message, cause);
    }
}
