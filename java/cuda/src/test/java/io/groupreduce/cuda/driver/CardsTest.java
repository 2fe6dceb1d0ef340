package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.DeviceStatus;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.error.DeviceException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@Tag("gpu")
class CardsTest {
    @Test
    void saysThatThereIsNoDriver() {
        List<DeviceStatus> statuses = Cards.probe(new CudaLibraries(List.of()));
        assertEquals(
                List.of(new DeviceStatus("cuda", false, "no NVIDIA driver was found (libcuda.so.1)", 0, List.of())),
                statuses);
    }

    @Test
    void listsTheCards() {
        List<DeviceStatus> statuses = Cards.probe(TestDevice.libraries());
        DeviceStatus first = statuses.get(0);
        assertEquals("cuda:0", first.device());
        assertTrue(first.available(), first.reason());
        assertTrue(first.reason().contains(", compute capability "), first.reason());
        assertTrue(first.memoryBytes() > 0);
        assertEquals("libcuda.so.1", first.libraries().get(0));
        assertEquals(3, first.libraries().size(), first.libraries().toString());
    }

    @Test
    void saysThatTheBuildHasNoKernels(@TempDir Path empty) {
        CudaLibraries libraries = TestDevice.libraries();
        String before = System.getProperty(KernelModules.PROPERTY);
        System.setProperty(KernelModules.PROPERTY, empty.toString());
        try {
            DeviceStatus status = only(libraries);
            assertTrue(
                    status.reason().matches(".+, compute capability .+: " + empty + "/kernels.list cannot be read, .*"),
                    status.reason());
            assertTrue(status.memoryBytes() > 0);
        } finally {
            if (before == null) {
                System.clearProperty(KernelModules.PROPERTY);
            } else {
                System.setProperty(KernelModules.PROPERTY, before);
            }
        }
    }

    @Test
    @Tag("emulated")
    void saysThatCublasIsMissing(@TempDir Path folder) throws IOException {
        TestDevice.libraries();
        // A link, because a second copy would be a second driver.
        Path link = Files.createSymbolicLink(
                folder.resolve("libcuda.so.1"), TestDevice.folders().getFirst().resolve("libcuda.so.1"));
        DeviceStatus status = only(new CudaLibraries(List.of(folder)));
        Files.delete(link);
        assertTrue(status.reason().contains(": cuBLAS and cuSOLVER were not found, neither"), status.reason());
        assertEquals(List.of("libcuda.so.1"), status.libraries());
    }

    @Test
    @Tag("emulated")
    void refusesACardThatIsTooOld() {
        CudaLibraries libraries = TestDevice.libraries();
        EmulatedDriver.withComputeCapability(libraries, 7, 5, () -> {
            DeviceStatus status = only(libraries);
            assertEquals("cuda:0", status.device());
            assertTrue(
                    status.reason()
                            .endsWith("compute capability 7.5, driver 13.0; the kernels need compute capability 8.0 or"
                                    + " newer"),
                    status.reason());
            DeviceException e = assertThrows(DeviceException.class, () -> Device.open(libraries, 0));
            assertTrue(e.getMessage().contains("8.0 or newer; use --device cpu."), e.getMessage());
        });
        assertTrue(Cards.probe(libraries).get(0).available());
    }

    @Test
    @Tag("emulated")
    void nothingIsLeftInTheDriverWhenADeviceIsClosed() {
        CudaLibraries libraries = TestDevice.libraries();
        long before = EmulatedDriver.objects(libraries);
        Device device = Device.open(libraries, 0);
        device.run(() -> {
            ParameterEcho.launch(device, device.allocate(ParameterEcho.bytes(3), "a leak"), 3);
            device.pinned(10);
            device.event();
            device.graph(() -> device.stream().record(device.event()));
            device.upload(MemorySegment.ofArray(new byte[9]), device.allocate(9, "a leak"), 0);
        });
        assertTrue(EmulatedDriver.objects(libraries) > before + 10);
        device.close();
        assertEquals(before, EmulatedDriver.objects(libraries));
    }

    @Test
    @Tag("emulated")
    void memoryThatRunsOutComesBack() {
        CudaLibraries libraries = TestDevice.libraries();
        Device device = TestDevice.open();
        EmulatedDriver.withMemory(
                libraries,
                64 << 20,
                () -> device.run(() -> {
                    try (DeviceMemory first = device.allocate(60 << 20, "the matrix")) {
                        OutOfDeviceMemoryException e = assertThrows(
                                OutOfDeviceMemoryException.class, () -> device.allocate(5 << 20, "the Gram matrices"));
                        assertTrue(e.getMessage().contains("5.0 MiB were asked for, 4.0 MiB are free"), e.getMessage());
                        assertTrue(e.getMessage().contains("(we hold the matrix 60.0 MiB)"), e.getMessage());
                        assertEquals(0, device.availableMemory());
                        assertEquals(60 << 20, first.bytes());
                    }
                    device.allocate(5 << 20, "the Gram matrices").close();
                    assertEquals(56 << 20, device.availableMemory());
                }));
        TestDevice.assertNothingLeaked();
    }

    private static DeviceStatus only(CudaLibraries libraries) {
        List<DeviceStatus> statuses = Cards.probe(libraries);
        assertEquals(1, statuses.size(), statuses.toString());
        assertEquals(false, statuses.get(0).available());
        return statuses.get(0);
    }
}
