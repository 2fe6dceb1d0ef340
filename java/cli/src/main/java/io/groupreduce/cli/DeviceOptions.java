package io.groupreduce.cli;

import io.groupreduce.InvalidOptionException;
import io.groupreduce.backend.Backend;
import io.groupreduce.backend.BackendSelection;
import picocli.CommandLine.Option;

/** Where to run. */
final class DeviceOptions {
    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            defaultValue = "auto",
            description = "auto, cpu, cuda, cuda:I, or reference (default: ${DEFAULT-VALUE}).")
    String device;

    @Option(names = "--threads", paramLabel = "T", description = "Worker threads (default: one a processor).")
    Integer threads;

    /** Starts the backend; the caller closes it. */
    Backend start() {
        if (threads != null && (threads < 1 || threads > 4096)) {
            throw new InvalidOptionException("--threads is " + threads + "; it must lie between 1 and 4096.");
        }
        int count = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
        return BackendSelection.select(device, count).backend();
    }
}
