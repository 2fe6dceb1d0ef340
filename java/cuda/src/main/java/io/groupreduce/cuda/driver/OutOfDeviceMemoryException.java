package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;

/** The card, or the host's page-locked memory, has not enough room; smaller tiles may fit. */
public final class OutOfDeviceMemoryException extends DeviceException {
    private static final long serialVersionUID = 1L;

    private final long asked;

    /**
     * A message, and how many bytes could not be had; 0 when that is unknown.
     *
     * @param message what for, where, what was tried, and what to do
     */
    public OutOfDeviceMemoryException(String message, long asked) {
        super(message);
        this.asked = asked;
    }

    /** The bytes that were asked for; 0 when the driver took them by itself. */
    public long asked() {
        return asked;
    }
}
