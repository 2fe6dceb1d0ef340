package io.groupreduce.error;

/**
 * The base of every failure that this library reports on purpose. The message is one sentence for a person: what is
 * wrong, where (file, tensor, row), and what to do about it.
 */
public abstract sealed class GroupReduceException extends RuntimeException
        permits MalformedFileException,
                InvalidDataException,
                InvalidOptionException,
                UnreachableTargetException,
                FileAccessException,
                DeviceException,
                ClosedHeadException {
    private static final long serialVersionUID = 1L;

    GroupReduceException(String message, Throwable cause) {
        super(OneLine.of(message), cause);
    }
}
