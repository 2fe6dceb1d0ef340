package io.groupreduce.error;

/** A well-formed file holds data that cannot be used: NaN, the wrong shape or type, a missing tensor, bad counts. */
public final class InvalidDataException extends GroupReduceException {
    private static final long serialVersionUID = 1L;

    public InvalidDataException(String message) {
        super(message, null);
    }

    public InvalidDataException(String message, Throwable cause) {
        super(message, cause);
    }
}
