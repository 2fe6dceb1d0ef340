package io.groupreduce.vector;

import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.Threads;
import io.groupreduce.error.DeviceException;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.ComputeBackend;
import java.lang.module.ModuleFinder;
import java.util.List;

/** Offers the {@link VectorBackend} where the Java Vector API is there. */
public final class VectorBackendProvider implements BackendProvider {
    private static final String MODULE = "jdk.incubator.vector";

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
                : missing(ModuleFinder.ofSystem());
        return List.of(new DeviceStatus("cpu (vector)", available, reason, 0, List.of()));
    }

    @Override
    public ComputeBackend create(int index, Threads threads) {
        if (!available()) {
            throw new DeviceException("The Vector API backend cannot run: " + missing(ModuleFinder.ofSystem()) + ".");
        }
        return new VectorBackend(threads);
    }

    /** Asked before any class that uses the module is loaded. */
    private static boolean available() {
        return ModuleLayer.boot().findModule(MODULE).isPresent();
    }

    /** Why the module is not there and what mends that, a part of a sentence. */
    static String missing(ModuleFinder system) {
        if (system.find(MODULE).isEmpty()) {
            return "this Java has no module " + MODULE + "; add it to the image (jlink --add-modules " + MODULE
                    + ") or install a full JDK 25, for instance Temurin 25";
        }
        // Maven's launcher sets it; what exec:java runs, runs in Maven's own Java.
        return System.getProperty("classworlds.conf") == null
                ? "the module " + MODULE + " is not resolved; start Java with --add-modules " + MODULE
                : "the module " + MODULE + " is not resolved in Maven's own Java; put --add-modules " + MODULE
                        + " into MAVEN_OPTS or .mvn/jvm.config";
    }
}
