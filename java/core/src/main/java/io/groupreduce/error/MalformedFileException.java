package io.groupreduce.error;

/** A file is not what its format says: truncated, overlapping offsets, an unreadable header. */
public final class MalformedFileException extends GroupReduceException {
    private static final long serialVersionUID = 1L;

    public MalformedFileException(String message) {
        super(message, null);
    }

    public MalformedFileException(String message, Throwable cause) {
        super(message, cause);
    }
}
