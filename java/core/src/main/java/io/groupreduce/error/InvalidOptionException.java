package io.groupreduce.error;

/** An option is out of range or contradicts another one. */
public final class InvalidOptionException extends GroupReduceException {
    private static final long serialVersionUID = 1L;

    public InvalidOptionException(String message) {
        super(message, null);
    }
}
