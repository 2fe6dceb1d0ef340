package io.groupreduce;

import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.Threads;
import io.groupreduce.error.DeviceException;
import io.groupreduce.internal.reference.ReferenceBackendProvider;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.ComputeBackend;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.ServiceLoader;

/**
 * Finds the backends beside core. A service is looked for with core's own class loader: that of the thread is the system's in workers of an
 * application server or a Spring Boot jar, and sees nothing of us. On the class path our own are known by name too, because jars that were
 * put together of several keep one service file of a name.
 */
final class BackendProviders {
    private static final List<Absent> OURS = List.of(
            new Absent("cuda", "cuda", "cuda", "io.groupreduce.cuda.CudaBackendProvider"),
            new Absent("vector", "cpu", "cpu (vector)", "io.groupreduce.vector.VectorBackendProvider"));

    private BackendProviders() {}

    /** Every provider there is, the preferred first, and for each of ours that is not there one that says so. */
    static List<BackendProvider> find() {
        ClassLoader loader = BackendProvider.class.getClassLoader();
        List<BackendProvider> providers = new ArrayList<>(List.of(new ReferenceBackendProvider()));
        ModuleLayer layer = BackendProvider.class.getModule().getLayer();
        // On the module path those of the class path are not asked for: they may not see what they implement.
        (layer == null
                        ? ServiceLoader.load(BackendProvider.class, loader)
                        : ServiceLoader.load(layer, BackendProvider.class))
                .forEach(providers::add);
        for (Absent ours : OURS) {
            if (providers.stream().noneMatch(found -> found.name().equals(ours.name()))) {
                providers.add(layer == null ? byName(loader, ours) : ours);
            }
        }
        providers.sort(Comparator.comparingInt(BackendProvider::preference).reversed());
        return providers;
    }

    private static BackendProvider byName(ClassLoader loader, Absent ours) {
        try {
            return (BackendProvider)
                    Class.forName(ours.type(), true, loader).getConstructor().newInstance();
        } catch (ClassNotFoundException e) {
            return ours;
        } catch (ReflectiveOperationException e) {
            throw new DeviceException(
                    "The backend " + ours.type() + " does not start (" + e + "); install it again.", e);
        }
    }

    /** A backend that is not part of an installation. */
    private record Absent(String name, String deviceKind, String device, String type) implements BackendProvider {
        @Override
        public int preference() {
            return 1;
        }

        @Override
        public List<DeviceStatus> probe() {
            String reason = "this installation has no such backend; add the artifact io.groupreduce:groupreduce-" + name
                    + " (module io.groupreduce." + name + ")";
            return List.of(new DeviceStatus(device, false, reason, 0, List.of()));
        }

        @Override
        public ComputeBackend create(int index, Threads threads) {
            throw new DeviceException("There is no backend " + name + ".");
        }
    }
}
