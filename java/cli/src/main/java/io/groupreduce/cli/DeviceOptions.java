package io.groupreduce.cli;

import io.groupreduce.InvalidOptionException;
import io.groupreduce.backend.Backend;
import io.groupreduce.backend.BackendSelection;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import picocli.CommandLine.Option;

/** Where to run. */
final class DeviceOptions {
    private static final String REFERENCE = "reference";

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            defaultValue = "auto",
            description = "auto, cpu, cuda, cuda:I, or reference (default: ${DEFAULT-VALUE}).")
    String device;

    @Option(names = "--threads", paramLabel = "T", description = "Worker threads (default: one a processor).")
    Integer threads;

    /**
     * Starts the backend; the caller closes it.
     *
     * @param tell hears why it is the slow one, if it is and nobody asked for it
     */
    Backend start(Consumer<String> tell) {
        if (threads != null && (threads < 1 || threads > 4096)) {
            throw new InvalidOptionException("--threads is " + threads + "; it must lie between 1 and 4096.");
        }
        BackendSelection selection = BackendSelection.select(device, threadCount());
        if (selection.backend().name().equals(REFERENCE) && !device.equals(REFERENCE)) {
            String reasons = selection.others().stream()
                    .filter(status -> !status.available())
                    .map(status -> status.device() + ": " + status.reason())
                    .collect(Collectors.joining("; "));
            tell.accept("Running on the slow reference backend" + (reasons.isEmpty() ? "." : " (" + reasons + ")."));
        }
        return selection.backend();
    }

    /** Worker threads of a backend on the processor. */
    int threadCount() {
        return threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    }
}
