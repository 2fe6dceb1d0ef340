package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.DeviceStatus;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.blas.Cublas;
import io.groupreduce.error.DeviceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Drivers from CUDA 12.0 on, without the functions that came later, and older ones. */
@Tag("gpu")
@Tag("emulated")
class DriverVersionsTest {
    // The version that each came with.
    private static final int LOADS_FUNCTIONS = 12040;
    private static final String[] NEWER = {"cuFuncLoad", "cuFuncIsLoaded"};

    private final CudaLibraries whole = TestDevice.libraries();

    @TempDir
    private Path folder;

    @ParameterizedTest
    @ValueSource(ints = {12000, 12020, 12030, LOADS_FUNCTIONS, 12090, 13000})
    void worksWithADriverOf(int version) throws IOException {
        try (CudaLink link = new CudaLink(version >= 13000)) {
            CudaLibraries libraries =
                    version < LOADS_FUNCTIONS ? EmulatedDriver.without(link.libraries(), NEWER) : link.libraries();
            EmulatedDriver.withVersion(whole, version, () -> {
                List<DeviceStatus> statuses = Cards.probe(libraries);
                String name = "driver " + DeviceProperties.versionText(version);
                assertTrue(statuses.get(0).available(), statuses.toString());
                assertTrue(statuses.get(0).reason().endsWith(name), statuses.toString());
                try (Device device = Device.open(libraries, 0)) {
                    assertTrue(device.properties().summary().endsWith(name));
                    device.run(() -> {
                        new Cublas(device).close();
                        try (DeviceMemory out = device.allocate(ParameterEcho.bytes(2), "a test")) {
                            ParameterEcho.launch(device, out, 2);
                            assertArrayEquals(ParameterEcho.expected(2), ParameterEcho.read(device, out, 2));
                        }
                    });
                    String needed = version >= 13000 ? "libcublas.so.13" : "libcublas.so.12";
                    assertTrue(
                            libraries.names().contains(needed),
                            libraries.names().toString());
                }
            });
        }
    }

    /** CUDA 11's driver, and libraries of 12 and 13. */
    @Test
    void aDriverThatIsTooOldForTheLibrariesIsSaid() throws IOException {
        try (CudaLink link = new CudaLink(false)) {
            EmulatedDriver.withVersion(whole, 11080, () -> {
                DeviceStatus status = Cards.probe(link.libraries()).get(0);
                assertFalse(status.available());
                assertTrue(
                        status.reason().contains("libcublas.so.12 is there but the driver is of CUDA 11"),
                        status.reason());
            });
        }
    }

    @Test
    void aDriverThatLacksWhatWeNeedIsSaid() throws IOException {
        try (CudaLink link = new CudaLink(true)) {
            CudaLibraries libraries = EmulatedDriver.without(link.libraries(), "cuPointerGetAttribute");
            DeviceException e = assertThrows(DeviceException.class, () -> Device.open(libraries, 0));
            assertEquals(
                    "The NVIDIA driver lacks the function cuPointerGetAttribute; update it to one of CUDA 12 or newer.",
                    e.getMessage());
        }
    }

    /** The stand-ins under the names of a release: links, because a second copy would be a second driver. */
    private final class CudaLink implements AutoCloseable {
        private final List<Path> links;

        CudaLink(boolean ofThirteen) throws IOException {
            links = List.of(
                    link("libcuda.so.1", "libcuda.so.1"),
                    link(ofThirteen ? "libcublas.so.13" : "libcublas.so.12", "libcublas.so.13"),
                    link(ofThirteen ? "libcusolver.so.12" : "libcusolver.so.11", "libcusolver.so.12"));
        }

        private Path link(String name, String standIn) throws IOException {
            Path target = Path.of(System.getProperty(CudaLibraries.PROPERTY)).resolve(standIn);
            return Files.createSymbolicLink(folder.resolve(name), target);
        }

        CudaLibraries libraries() {
            return new CudaLibraries(List.of(folder));
        }

        @Override
        public void close() throws IOException {
            for (Path link : links) {
                Files.delete(link);
            }
        }
    }
}
