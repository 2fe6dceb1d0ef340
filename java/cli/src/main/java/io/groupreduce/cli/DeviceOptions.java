package io.groupreduce.cli;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.api.Threads;
import io.groupreduce.error.InvalidOptionException;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import picocli.CommandLine.Option;

/** Where to run. */
final class DeviceOptions {
    private static final String GPU = "cuda";

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            defaultValue = "auto",
            description = "auto, cpu, cuda, cuda:I, or reference (default: ${DEFAULT-VALUE}).")
    String device;

    @Option(names = "--threads", paramLabel = "T", description = "Worker threads (default: one a processor).")
    Integer threads;

    /** Whether a backend runs on a GPU. */
    static boolean isGpu(Backend backend) {
        return backend.name().startsWith(GPU);
    }

    private static boolean isReference(Backend backend) {
        return backend.name().equals(Device.REFERENCE.kind());
    }

    /**
     * Starts the backend; the caller closes it.
     *
     * @param tell hears in one sentence why it is not the best one, if nobody asked for that
     */
    Backend start(Consumer<String> tell) {
        Threads own = Threads.own(threadCount());
        Device wanted = Device.parse(device);
        BackendSelection selection = BackendSelection.select(wanted, own, tell);
        Backend backend = selection.backend();
        if (wanted.equals(Device.AUTO) && !isGpu(backend) && !isReference(backend)) {
            String reasons = selection.others().stream()
                    .filter(status -> !status.available() && status.device().startsWith(GPU))
                    .map(status -> status.device() + ": " + status.reason())
                    .collect(Collectors.joining("; "));
            tell.accept("Running on the CPU ("
                    + (reasons.isEmpty() ? "this installation has no other backend" : reasons) + ").");
        }
        return backend;
    }

    /** @throws InvalidOptionException if a device was asked for that what comes does not run on */
    void requireProcessor(String what) {
        Device wanted = Device.parse(device);
        if (!wanted.equals(Device.AUTO) && !wanted.equals(Device.CPU)) {
            throw new InvalidOptionException("--device " + device + " has no meaning for " + what
                    + ", which ONNX Runtime runs on the processor.");
        }
    }

    /** How many threads answer queries; one talks to a GPU. */
    int threads(Backend backend) {
        return isReference(backend) || isGpu(backend) ? 1 : threadCount();
    }

    /** Worker threads of a backend on the processor. */
    int threadCount() {
        return threadCount(threads);
    }

    /** What {@code --threads} says; {@code null} is one a processor. */
    static int threadCount(Integer threads) {
        if (threads != null && (threads < 1 || threads > 4096)) {
            throw new InvalidOptionException("--threads is " + threads + "; it must lie between 1 and 4096.");
        }
        return threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    }
}
