package io.groupreduce.vector;

import io.groupreduce.api.Threads;
import io.groupreduce.error.DeviceException;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.DeviceStatus;
import java.lang.module.ModuleFinder;
import java.util.List;

/** Offers the {@link VectorBackend} where the Java Vector API is there. */
public final class VectorBackendProvider implements BackendProvider {
    private static final String MODULE = "jdk.incubator.vector";
    private static final String MISSING = ModuleFinder.ofSystem().find(MODULE).isPresent()
            ? "The module " + MODULE + " is not resolved; start Java with --add-modules " + MODULE + "."
            : "This JDK has no module " + MODULE + "; install a full JDK 25, for instance Temurin 25.";

    @Override
    public String name() {
        return "vector";
    }

    @Override
    public String deviceKind() {
        return "cpu";
    }

    @Override
    public int preference() {
        return 10;
    }

    @Override
    public List<DeviceStatus> probe() {
        boolean available = available();
        String reason = available
                ? VectorBackend.shape() + ", " + Runtime.getRuntime().availableProcessors() + " cores"
                : MISSING;
        return List.of(new DeviceStatus("cpu (vector)", available, reason, 0, List.of()));
    }

    @Override
    public Backend create(int index, Threads threads) {
        if (!available()) {
            throw new DeviceException(MISSING);
        }
        return new VectorBackend(threads);
    }

    /** Asked before any class that uses the module is loaded. */
    private static boolean available() {
        return ModuleLayer.boot().findModule(MODULE).isPresent();
    }
}
