package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.DeviceStatus;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Selection with a planted GPU beside the reference backend. */
class BackendSelectionTest {
    private static final DeviceStatus NO_DRIVER = new DeviceStatus("cuda", false, "no driver", 0, List.of());

    @TempDir
    static Path folder;

    private ClassLoader before;

    @BeforeEach
    void plant() throws Exception {
        Path services = Files.createDirectories(folder.resolve("META-INF/services"));
        Files.writeString(services.resolve(BackendProvider.class.getName()), PlantedProvider.class.getName());
        before = Thread.currentThread().getContextClassLoader();
        Thread.currentThread()
                .setContextClassLoader(
                        new URLClassLoader(new URL[] {folder.toUri().toURL()}, before));
        PlantedProvider.available = true;
        PlantedProvider.failure = null;
        PlantedProvider.probes = 0;
    }

    @AfterEach
    void restore() throws Exception {
        URLClassLoader planted = (URLClassLoader) Thread.currentThread().getContextClassLoader();
        Thread.currentThread().setContextClassLoader(before);
        planted.close();
    }

    @Test
    void autoTakesThePreferredAndTellsOfTheOthers() {
        BackendSelection selection = BackendSelection.select("auto", 1);
        assertEquals(
                List.of("cuda:1", "reference"),
                selection.others().stream().map(DeviceStatus::device).toList());
    }

    @Test
    void autoGoesOnWhereADeviceIsNotThere() {
        PlantedProvider.available = false;
        BackendSelection selection = BackendSelection.select("auto", 1);
        assertEquals("reference", selection.backend().name());
        assertEquals(List.of(NO_DRIVER), selection.others());
    }

    @Test
    void autoGoesOnWhereADeviceDoesNotStart() {
        PlantedProvider.failure = new DeviceException("another process holds it.");
        BackendSelection selection = BackendSelection.select("auto", 1);
        assertEquals("reference", selection.backend().name());
        assertEquals(
                new DeviceStatus("cuda:0", false, "another process holds it", 1, List.of()),
                selection.others().get(0));
    }

    @Test
    void aDeviceAskedForByNameFailsLoudly() {
        DeviceException planted = new DeviceException("another process holds it.");
        PlantedProvider.failure = planted;
        assertSame(planted, assertThrows(DeviceException.class, () -> BackendSelection.select("cuda:0", 1)));
        PlantedProvider.failure = null;
        refused("cuda:1", "cuda:1: it is too old");
        refused("cuda:2", "there is no device of this number");
        PlantedProvider.available = false;
        refused("cuda", "cuda: no driver");
        refused("cuda:2", "cuda: no driver");
        assertThrows(InvalidOptionException.class, () -> BackendSelection.select("cuda:x", 1));
    }

    @Test
    void whatIsNotAskedForIsLeftAlone() {
        BackendSelection selection = BackendSelection.select("cpu", 1);
        assertEquals("reference", selection.backend().name());
        assertEquals(0, PlantedProvider.probes);
        assertEquals(
                List.of(new DeviceStatus("cuda", false, "it was not asked for", 0, List.of())), selection.others());
    }

    @Test
    void noThreadIsRefused() {
        for (int threads : new int[] {0, -3}) {
            InvalidOptionException e =
                    assertThrows(InvalidOptionException.class, () -> BackendSelection.select("cpu", threads));
            assertEquals("The number of threads is " + threads + "; give at least 1.", e.getMessage());
        }
    }

    @Test
    void allDevicesAreListed() {
        assertEquals(
                List.of("cuda:0", "cuda:1", "reference"),
                BackendSelection.devices().stream().map(DeviceStatus::device).toList());
    }

    private static void refused(String device, String reason) {
        DeviceException e = assertThrows(DeviceException.class, () -> BackendSelection.select(device, 1));
        assertEquals(
                "The device " + device + " cannot be used here (" + reason + "); 'groupreduce devices' lists what can.",
                e.getMessage());
    }
}
