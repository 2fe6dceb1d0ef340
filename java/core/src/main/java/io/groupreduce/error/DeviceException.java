package io.groupreduce.error;

/** The requested device is not there or failed. */
public non-sealed class DeviceException extends GroupReduceException {
    private static final long serialVersionUID = 1L;

    public DeviceException(String message) {
        super(message, null);
    }

    public DeviceException(String message, Throwable cause) {
        super(message, cause);
    }
}
