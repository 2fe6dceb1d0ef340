package io.groupreduce;

import io.groupreduce.api.Threads;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.DeviceStatus;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.stream.Collectors;

/**
 * Which backend runs, and for every other one why not.
 *
 * @param backend the chosen one; the caller closes it
 * @param others devices that were not taken: available ones of lower preference, unavailable ones and ones that were not asked for, with the
 *     reason
 */
public record BackendSelection(Backend backend, List<DeviceStatus> others) {
    /** Every provider on the module path or class path, the preferred first. */
    public static List<BackendProvider> providers() {
        List<BackendProvider> providers = new ArrayList<>();
        ServiceLoader.load(BackendProvider.class).forEach(providers::add);
        providers.sort(Comparator.comparingInt(BackendProvider::preference).reversed());
        return providers;
    }

    /** All devices, the preferred first: what can run here, and why the rest cannot. */
    public static List<DeviceStatus> devices() {
        List<BackendProvider> providers = providers();
        List<DeviceStatus> devices =
                providers.stream().flatMap(p -> p.probe().stream()).collect(Collectors.toCollection(ArrayList::new));
        if (providers.stream().noneMatch(p -> p.deviceKind().equals("cuda"))) {
            devices.add(new DeviceStatus("cuda", false, "this installation has no GPU backend", 0, List.of()));
        }
        return devices;
    }

    /** The same with {@code threads} of the backend's own, at least 1. */
    public static BackendSelection select(String device, int threads) {
        return select(device, Threads.own(threads));
    }

    /**
     * Chooses and starts a backend.
     *
     * @param device {@code auto}, {@code cpu}, {@code cuda}, {@code cuda:I}, or a provider's name such as {@code reference}
     * @param threads which threads of the processor the backend may use
     * @throws InvalidOptionException if {@code device} is not one of these
     * @throws DeviceException if a device asked for by name cannot run
     */
    public static BackendSelection select(String device, Threads threads) {
        Request request = Request.parse(device);
        Objects.requireNonNull(threads, "threads");
        List<DeviceStatus> passed = new ArrayList<>();
        List<DeviceStatus> refused = new ArrayList<>();
        Backend chosen = null;
        List<BackendProvider> providers = providers();
        boolean known = providers.stream().anyMatch(request::matches);
        for (BackendProvider provider : providers) {
            if (!request.matches(provider)) {
                // Not even asked: --device cpu leaves a card's driver alone.
                passed.add(new DeviceStatus(provider.name(), false, "it was not asked for", 0, List.of()));
                continue;
            }
            List<DeviceStatus> statuses = provider.probe();
            for (int i = 0; i < statuses.size(); i++) {
                DeviceStatus status = statuses.get(i);
                boolean wanted = request.index < 0 || request.index == i;
                if (chosen == null && wanted && status.available()) {
                    try {
                        chosen = provider.create(i, threads);
                        continue;
                    } catch (DeviceException e) {
                        if (!request.isAuto()) {
                            throw e;
                        }
                        // For instance a card that another process holds exclusively.
                        status = new DeviceStatus(
                                status.device(), false, part(e), status.memoryBytes(), status.libraries());
                    }
                }
                passed.add(status);
                // One entry for all devices of a kind says why there is none.
                if (wanted || !status.available() && status.device().equals(provider.deviceKind())) {
                    refused.add(status);
                }
            }
        }
        if (chosen != null) {
            return new BackendSelection(chosen, List.copyOf(passed));
        }
        String reasons =
                refused.stream().map(s -> s.device() + ": " + s.reason()).collect(Collectors.joining("; "));
        throw new DeviceException("The device " + device + " cannot be used here ("
                + (known
                        ? reasons.isEmpty() ? "there is no device of this number" : reasons
                        : "this installation has no backend for it")
                + "); 'groupreduce devices' lists what can.");
    }

    /** A sentence as a part of another. */
    private static String part(DeviceException e) {
        return e.getMessage().replaceFirst("\\.$", "");
    }

    /** What {@code --device} asked for; {@code index < 0} means any. */
    private record Request(String kind, int index) {
        static Request parse(String device) {
            if (device.matches("cuda:\\d{1,4}")) {
                return new Request("cuda", Integer.parseInt(device.substring(5)));
            }
            if (device.equals("auto") || device.equals("cpu") || device.equals("cuda")) {
                return new Request(device, -1);
            }
            if (providers().stream().anyMatch(p -> p.name().equals(device))) {
                return new Request(device, -1);
            }
            throw new InvalidOptionException(
                    "The device '" + device + "' is unknown; use auto, cpu, cuda, cuda:I or reference.");
        }

        boolean isAuto() {
            return kind.equals("auto");
        }

        boolean matches(BackendProvider provider) {
            return isAuto() || kind.equals(provider.deviceKind()) || kind.equals(provider.name());
        }
    }
}
