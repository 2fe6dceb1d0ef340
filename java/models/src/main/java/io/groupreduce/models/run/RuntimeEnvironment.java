package io.groupreduce.models.run;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtLoggingLevel;
import io.groupreduce.error.DeviceException;
import io.groupreduce.format.Wording;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * ONNX Runtime's environment, of which a process has one. When it is made, version 1.29 matches a regular expression with the whole command line, and
 * takes some 170 bytes of stack for each of its characters: a class path or a list of files of 6,000 would end the process without a word. So it is
 * made by a thread whose stack has room for the longest command line of Linux.
 */
final class RuntimeEnvironment {
    /** Bytes of address space; only those that are used become memory. */
    private static final long STACK = 1L << 29;

    private RuntimeEnvironment() {}

    /**
     * The environment, made at the first call.
     *
     * @throws DeviceException if there is no runtime for this machine
     */
    static OrtEnvironment get() {
        CompletableFuture<OrtEnvironment> made = new CompletableFuture<>();
        Runnable making = () -> {
            try {
                made.complete(OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL));
            } catch (RuntimeException | LinkageError e) {
                made.completeExceptionally(e);
            }
        };
        new Thread(null, making, "onnxruntime", STACK).start();
        try {
            return made.join();
        } catch (CompletionException e) {
            throw new DeviceException(
                    "ONNX Runtime cannot be started on this machine (" + Wording.line(String.valueOf(e.getCause()))
                            + ").",
                    e.getCause());
        }
    }
}
