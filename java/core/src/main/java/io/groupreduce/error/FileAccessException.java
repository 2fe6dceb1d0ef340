package io.groupreduce.error;

/** The file system refused: missing file, no permission, disk full. */
public final class FileAccessException extends GroupReduceException {
    private static final long serialVersionUID = 1L;

    public FileAccessException(String message) {
        super(message, null);
    }

    public FileAccessException(String message, Throwable cause) {
        super(message, cause);
    }
}
