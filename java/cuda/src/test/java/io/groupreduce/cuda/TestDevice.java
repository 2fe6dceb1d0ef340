package io.groupreduce.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.Device;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * The device that tests run on: by default the stand-in driver, which runs the kernels on the processor (kernel logic under emulation), or
 * with {@code -Dgroupreduce.test.device=gpu} the card cuda:0. A test that needs the stand-in is skipped, by name, where it was not built; a
 * missing card fails.
 */
public final class TestDevice {
    private static final String KIND = System.getProperty("groupreduce.test.device", "emulated");

    /** Whether the stand-in driver's kernels are those whose accesses to memory are checked. */
    private static final boolean WATCHED = Boolean.parseBoolean(System.getenv("GROUPREDUCE_WATCHED"));

    private static Device shared;

    private TestDevice() {}

    /** Whether the stand-in driver is meant. */
    public static boolean emulated() {
        return switch (KIND) {
            case "emulated" -> true;
            case "gpu" -> false;
            default ->
                throw new IllegalArgumentException(
                        "groupreduce.test.device is '" + KIND + "'; it must be emulated or gpu");
        };
    }

    /** The libraries to test with; skips the test where there is no stand-in. */
    public static synchronized CudaLibraries libraries() {
        if (emulated()) {
            Path folder = emulation();
            assumeTrue(
                    Files.exists(folder.resolve("libcuda.so.1")),
                    "kernel logic under emulation: no stand-in driver in " + folder
                            + ", a C++ compiler and CMake are needed to build it");
            String watched = WATCHED ? folder.resolve("watched") + File.pathSeparator : "";
            System.setProperty(CudaLibraries.PROPERTY, watched + folder);
            System.setProperty("groupreduce.cuda.kernels", folder.toString());
        }
        return CudaLibraries.find();
    }

    /** The device that all tests of this process share; nobody closes it. */
    public static synchronized Device open() {
        CudaLibraries libraries = libraries();
        if (shared == null) {
            shared = Device.open(libraries, 0);
        }
        return shared;
    }

    /** Closes what tests share, for one that counts what is left in the driver; the next that needs it opens it again. */
    static synchronized void closeShared() {
        if (shared != null) {
            shared.close();
            shared = null;
        }
    }

    /** A device of the caller's own, which closes it. */
    public static Device fresh() {
        return Device.open(libraries(), 0);
    }

    /** Fails if memory of the shared device is open; for the end of every test that allocates. */
    public static synchronized void assertNothingLeaked() {
        if (shared != null) {
            assertEquals(0, shared.openAllocations(), "allocations that are still open");
        }
    }

    /** The folders of the stand-ins, that of the driver first and that of cuBLAS and cuSOLVER last. */
    public static List<Path> folders() {
        libraries();
        return Stream.of(System.getProperty(CudaLibraries.PROPERTY).split(File.pathSeparator))
                .map(Path::of)
                .toList();
    }

    private static Path emulation() {
        String configured = System.getProperty("groupreduce.emulation");
        if (configured != null) {
            return Path.of(configured).toAbsolutePath();
        }
        // Tests start in the module's folder or in the project's.
        List<Path> usual = List.of(Path.of("target/emulation"), Path.of("java/cuda/target/emulation"));
        return usual.stream()
                .filter(Files::isDirectory)
                .findFirst()
                .orElse(usual.get(0))
                .toAbsolutePath();
    }
}
