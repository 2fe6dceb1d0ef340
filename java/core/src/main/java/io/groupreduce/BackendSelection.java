package io.groupreduce;

import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Threads;
import io.groupreduce.error.DeviceException;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.ComputeBackend;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/** Which backend runs, and for every other one why not. */
public final class BackendSelection {
    private static final String NOT_ASKED = "it was not asked for";

    private final Backend backend;
    private final List<DeviceStatus> others;
    private final String slow;

    private BackendSelection(Backend backend, List<DeviceStatus> others, String slow) {
        this.backend = backend;
        this.others = List.copyOf(others);
        this.slow = slow;
    }

    /** The chosen backend; the caller closes it. */
    public Backend backend() {
        return backend;
    }

    /**
     * Devices that were not taken: available ones of lower preference, unavailable ones and ones that were not asked for, with the reason.
     */
    public List<DeviceStatus> others() {
        return others;
    }

    /**
     * This selection, unless it is the slow reference backend.
     *
     * @throws DeviceException if it is, with the reason why no better one runs; the backend is closed then
     */
    public BackendSelection requireAccelerated() {
        if (!backend.name().equals(Device.REFERENCE.kind())) {
            return this;
        }
        backend.close();
        throw new DeviceException("Only the slow reference backend would run ("
                + (slow == null ? "it was asked for by name" : slow) + ").");
    }

    /** All devices, the preferred first: what can run here, and why the rest cannot. */
    public static List<DeviceStatus> devices() {
        return BackendProviders.find().stream()
                .flatMap(provider -> provider.probe().stream())
                .toList();
    }

    /** The same with {@code threads} of the backend's own, at least 1. */
    public static BackendSelection select(Device device, int threads) {
        return select(device, Threads.own(threads));
    }

    /**
     * Chooses and starts a backend. That it is only the reference backend, where that was not asked for by name, is a warning in the log
     * {@code io.groupreduce}.
     *
     * @param threads which threads of the processor the backend may use
     * @throws DeviceException if a device asked for by name cannot run
     */
    public static BackendSelection select(Device device, Threads threads) {
        return select(device, threads, BackendSelection::warn);
    }

    private static void warn(String warning) {
        System.getLogger("io.groupreduce").log(Level.WARNING, warning);
    }

    /**
     * The same, where the caller passes warnings on.
     *
     * @param tell hears in one sentence that the slow reference backend runs, and why; and later, where a GPU that was not asked for by name
     *     fails, that the processor goes on, and why
     */
    public static BackendSelection select(Device device, Threads threads, Consumer<String> tell) {
        BackendSelection selection = choose(BackendProviders.find(), device, threads, tell);
        if (selection.slow != null) {
            tell.accept("Running on the slow reference backend (" + selection.slow + ").");
        }
        return selection;
    }

    /** The backend that a head's options ask for; the caller closes it. */
    static Backend select(HeadOptions options) {
        return options.accelerated()
                ? choose(BackendProviders.find(), options.device(), options.threads(), BackendSelection::warn)
                        .requireAccelerated()
                        .backend()
                : select(options.device(), options.threads()).backend();
    }

    static BackendSelection choose(
            List<BackendProvider> providers, Device device, Threads threads, Consumer<String> tell) {
        Objects.requireNonNull(threads, "threads");
        List<DeviceStatus> passed = new ArrayList<>();
        List<DeviceStatus> refused = new ArrayList<>();
        Backend chosen = null;
        for (BackendProvider provider : providers) {
            if (!matches(device, provider)) {
                // Not even asked: --device cpu leaves a card's driver alone.
                passed.add(new DeviceStatus(provider.name(), false, NOT_ASKED, 0, List.of()));
                continue;
            }
            List<DeviceStatus> statuses = provider.probe();
            for (int i = 0; i < statuses.size(); i++) {
                DeviceStatus status = statuses.get(i);
                boolean wanted = device.index().isEmpty() || device.index().getAsInt() == i;
                if (chosen == null && wanted && status.available()) {
                    try {
                        ComputeBackend started = provider.create(i, threads);
                        chosen = device.equals(Device.AUTO)
                                        && !provider.deviceKind().equals(Device.CPU.kind())
                                ? retreating(started, providers, provider, threads, tell)
                                : started;
                        continue;
                    } catch (DeviceException e) {
                        if (!device.equals(Device.AUTO)) {
                            throw e;
                        }
                        // For instance a card that another process holds exclusively.
                        status = new DeviceStatus(
                                status.device(), false, part(e), status.memoryBytes(), status.libraries());
                    }
                }
                passed.add(status);
                // One entry for all devices of a kind says why there is none.
                if (!status.available() && (wanted || status.device().equals(provider.deviceKind()))) {
                    refused.add(status);
                }
            }
        }
        String reasons =
                refused.stream().map(s -> s.device() + ": " + s.reason()).collect(Collectors.joining("; "));
        if (chosen != null) {
            boolean slow = chosen.name().equals(Device.REFERENCE.kind()) && !device.equals(Device.REFERENCE);
            return new BackendSelection(chosen, passed, slow ? reasons : null);
        }
        throw new DeviceException("The device " + device + " cannot be used here ("
                + (reasons.isEmpty() ? "there is no device of this number" : reasons)
                + "); 'groupreduce devices' lists what can.");
    }

    /** The reference backend goes on for nobody: it would take days. */
    private static Backend retreating(
            ComputeBackend started,
            List<BackendProvider> providers,
            BackendProvider provider,
            Threads threads,
            Consumer<String> tell) {
        List<BackendProvider> rest = providers.subList(providers.indexOf(provider) + 1, providers.size());
        return new RetreatingBackend(
                started,
                () -> ComputeBackend.of(choose(rest, Device.AUTO, threads, tell)
                        .requireAccelerated()
                        .backend()),
                tell);
    }

    private static boolean matches(Device device, BackendProvider provider) {
        return device.equals(Device.AUTO)
                || device.kind().equals(provider.deviceKind())
                || device.kind().equals(provider.name());
    }

    /** A sentence as a part of another. */
    private static String part(DeviceException e) {
        return e.getMessage().replaceFirst("\\.$", "");
    }
}
