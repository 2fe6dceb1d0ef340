package io.groupreduce.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.error.DeviceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("gpu")
class KernelTest {
    /** 12,000 values are 94 KiB of shared memory, above what a kernel has without asking. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 1000, 12_000, 300})
    void theKernelSeesTheParametersAsJavaWroteThem(int count) {
        Device device = TestDevice.open();
        double[] values = device.call(() -> {
            try (DeviceMemory out = device.allocate(ParameterEcho.bytes(count), "a test")) {
                ParameterEcho.launch(device, out, count);
                return ParameterEcho.read(device, out, count);
            }
        });
        assertArrayEquals(ParameterEcho.expected(count), values);
        TestDevice.assertNothingLeaked();
    }

    @Test
    void looksAKernelUpOnce() {
        Device device = TestDevice.open();
        device.run(() -> assertSame(device.kernel(ParameterEcho.NAME), device.kernel(ParameterEcho.NAME)));
    }

    @Test
    void namesAKernelThatIsNotThere() {
        Device device = TestDevice.open();
        DeviceException e =
                assertThrows(DeviceException.class, () -> device.call(() -> device.kernel("gr_no_such_kernel")));
        assertTrue(e.getMessage().startsWith("The GPU kernel gr_no_such_kernel is in none of the kernel files;"));
    }

    /** The stand-in knows the size of the structure; on a card a wrong one may go unnoticed. */
    @Test
    @Tag("emulated")
    void refusesAParameterStructureOfTheWrongSize() {
        Device device = TestDevice.open();
        device.run(() -> {
            try (DeviceMemory out = device.allocate(ParameterEcho.bytes(1), "a test")) {
                Parameters wrong = ParameterEcho.parameters(out, 1).i32(1);
                Kernel kernel = device.kernel(ParameterEcho.NAME);
                DeviceException e =
                        assertThrows(DeviceException.class, () -> kernel.launch(device.stream(), 1, 1, 32, 8, wrong));
                assertTrue(e.getMessage().contains("gr_parameter_echo (CUDA_ERROR_INVALID_VALUE)"), e.getMessage());
                assertTrue(e.getMessage().contains("with 56 bytes of parameters"), e.getMessage());
                ParameterEcho.launch(device, out, 1);
                assertArrayEquals(ParameterEcho.expected(1), ParameterEcho.read(device, out, 1));
            }
        });
        TestDevice.assertNothingLeaked();
    }

    @Test
    void refusesMoreSharedMemoryThanTheCardHas() {
        Device device = TestDevice.open();
        int tooMuch = device.properties().sharedBytesPerBlock() + 8;
        device.run(() -> {
            try (DeviceMemory out = device.allocate(ParameterEcho.bytes(0), "a test")) {
                Kernel kernel = device.kernel(ParameterEcho.NAME);
                Parameters parameters = ParameterEcho.parameters(out, 0);
                DeviceException e = assertThrows(
                        DeviceException.class, () -> kernel.launch(device.stream(), 1, 1, 32, tooMuch, parameters));
                assertTrue(e.getMessage().contains("gr_parameter_echo"), e.getMessage());
                assertTrue(e.getMessage().contains("CUDA_ERROR_INVALID_VALUE"), e.getMessage());
            }
        });
    }

    @Test
    void replaysARecordedGraph() {
        Device device = TestDevice.open();
        device.run(() -> {
            try (DeviceMemory out = device.allocate(ParameterEcho.bytes(5), "a test");
                    DeviceMemory copy = device.allocate(ParameterEcho.bytes(5), "a test")) {
                device.kernel(ParameterEcho.NAME);
                device.stream().clear(out.address(), out.bytes());
                Graph graph = device.graph(() -> {
                    ParameterEcho.launch(device, out, 5);
                    device.stream().copy(copy.address(), out.address(), out.bytes());
                });
                assertArrayEquals(new double[9], ParameterEcho.read(device, out, 5));
                for (int i = 0; i < 2; i++) {
                    device.stream().clear(copy.address(), copy.bytes());
                    graph.launch(device.stream());
                    assertArrayEquals(ParameterEcho.expected(5), ParameterEcho.read(device, copy, 5));
                }
                graph.close();
                graph.close();
                assertThrows(DeviceException.class, () -> graph.launch(device.stream()));
            }
        });
        TestDevice.assertNothingLeaked();
    }

    @Test
    void aGraphThatFailsLeavesTheStreamUsable() {
        Device device = TestDevice.open();
        device.run(() -> {
            IllegalStateException planted = new IllegalStateException("planted");
            assertSame(
                    planted,
                    assertThrows(
                            IllegalStateException.class,
                            () -> device.graph(() -> {
                                throw planted;
                            })));
            assertEquals(0, planted.getSuppressed().length);
            try (DeviceMemory out = device.allocate(ParameterEcho.bytes(1), "a test")) {
                ParameterEcho.launch(device, out, 1);
                assertArrayEquals(ParameterEcho.expected(1), ParameterEcho.read(device, out, 1));
            }
        });
        TestDevice.assertNothingLeaked();
    }

    @Test
    void saysThatTheBuildHasNoKernels(@TempDir Path folder) throws IOException {
        TestDevice.libraries();
        Files.writeString(folder.resolve("kernels.list"), "groupreduce-lost.fatbin\n");
        withKernels(
                folder.resolve("nowhere"),
                () -> assertTrue(
                        KernelModules.problem()
                                .matches(
                                        ".*nowhere/kernels\\.list cannot be read, where -Dgroupreduce\\.cuda\\.kernels says.*")));
        withKernels(folder, () -> {
            assertEquals(null, KernelModules.problem());
            try (Device device = Device.open(CudaLibraries.find(), 0)) {
                DeviceException e =
                        assertThrows(DeviceException.class, () -> device.call(() -> device.kernel(ParameterEcho.NAME)));
                assertTrue(e.getMessage().contains("groupreduce-lost.fatbin cannot be read"), e.getMessage());
            }
        });
    }

    private static void withKernels(Path folder, Runnable work) {
        String before = System.getProperty(KernelModules.PROPERTY);
        System.setProperty(KernelModules.PROPERTY, folder.toString());
        try {
            work.run();
        } finally {
            if (before == null) {
                System.clearProperty(KernelModules.PROPERTY);
            } else {
                System.setProperty(KernelModules.PROPERTY, before);
            }
        }
    }
}
