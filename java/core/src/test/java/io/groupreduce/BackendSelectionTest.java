package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Threads;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.reference.ReferenceBackendProvider;
import io.groupreduce.matrix.CompressedMatrix;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Selection with a planted GPU beside the reference backend, and as it is here, where core is alone. */
class BackendSelectionTest {
    private static final DeviceStatus NO_DRIVER = new DeviceStatus("cuda", false, "no driver", 0, List.of());
    private static final String ALONE = "(cuda: this installation has no such backend; add the artifact"
            + " io.groupreduce:groupreduce-cuda (module io.groupreduce.cuda); cpu (vector): this installation has no such backend; add the artifact"
            + " io.groupreduce:groupreduce-vector (module io.groupreduce.vector)).";

    private final PlantedProvider planted = new PlantedProvider();
    private final List<String> told = new ArrayList<>();

    private BackendSelection select(Device device) {
        return BackendSelection.choose(
                List.of(planted, new ReferenceBackendProvider()), device, Threads.own(1), told::add);
    }

    @Test
    void autoTakesThePreferredAndTellsOfTheOthers() {
        BackendSelection selection = select(Device.AUTO);
        assertEquals(
                List.of("cuda:1", "reference"),
                selection.others().stream().map(DeviceStatus::device).toList());
    }

    @Test
    void autoGoesOnWhereADeviceIsNotThere() {
        planted.available = false;
        BackendSelection selection = select(Device.AUTO);
        assertEquals("reference", selection.backend().name());
        assertEquals(List.of(NO_DRIVER), selection.others());
    }

    @Test
    void autoGoesOnWhereADeviceDoesNotStart() {
        planted.failure = new DeviceException("another process holds it.");
        BackendSelection selection = select(Device.AUTO);
        assertEquals("reference", selection.backend().name());
        assertEquals(
                new DeviceStatus("cuda:0", false, "another process holds it", 1, List.of()),
                selection.others().get(0));
        DeviceException e = assertThrows(DeviceException.class, selection::requireAccelerated);
        assertEquals(
                "Only the slow reference backend would run (cuda:0: another process holds it; cuda:1: it is too old).",
                e.getMessage());
    }

    @Test
    void aDeviceAskedForByNameFailsLoudly() {
        DeviceException failure = new DeviceException("another process holds it.");
        planted.failure = failure;
        assertSame(failure, assertThrows(DeviceException.class, () -> select(Device.cuda(0))));
        planted.failure = null;
        refused(Device.cuda(1), "cuda:1: it is too old");
        refused(Device.cuda(2), "there is no device of this number");
        planted.available = false;
        refused(Device.CUDA, "cuda: no driver");
        refused(Device.cuda(2), "cuda: no driver");
    }

    @Test
    void whatIsNotAskedForIsLeftAlone() {
        BackendSelection selection = select(Device.CPU);
        assertEquals("reference", selection.backend().name());
        assertEquals(0, planted.probes);
        assertEquals(
                List.of(new DeviceStatus("cuda", false, "it was not asked for", 0, List.of())), selection.others());
    }

    @Test
    void noThreadIsRefused() {
        for (int threads : new int[] {0, -3}) {
            InvalidOptionException e =
                    assertThrows(InvalidOptionException.class, () -> BackendSelection.select(Device.CPU, threads));
            assertEquals("The number of threads is " + threads + "; give at least 1.", e.getMessage());
        }
    }

    @Test
    void allDevicesAreListed() {
        assertEquals(
                List.of("cuda", "cpu (vector)", "reference"),
                BackendSelection.devices().stream().map(DeviceStatus::device).toList());
    }

    /** Once for each selection, unless it was asked for by name. */
    @Test
    void theReferenceBackendIsAWarningInTheLog(@TempDir Path directory) {
        List<String> logged = new ArrayList<>();
        Handler handler = new Handler() {
            @Override
            public void publish(LogRecord entry) {
                logged.add(entry.getLevel() + " " + entry.getMessage());
            }

            @Override
            public void flush() {
                // holds nothing
            }

            @Override
            public void close() {
                // holds nothing
            }
        };
        Logger log = Logger.getLogger("io.groupreduce");
        log.setUseParentHandlers(false);
        log.addHandler(handler);
        try {
            Path file = HeadFixture.write(directory.resolve("model.safetensors"));
            SoftmaxHead.open(file).close();
            assertEquals(List.of("WARNING Running on the slow reference backend " + ALONE), logged);
            EmbeddingTable.open(file).close();
            BackendSelection.select(Device.CPU, 1).backend().close();
            assertEquals(3, logged.size(), logged.toString());
            SoftmaxHead.open(file, HeadOptions.defaults().withDevice(Device.REFERENCE))
                    .close();
            HeadOptions accelerated = HeadOptions.defaults().requireAccelerated();
            DeviceException e = assertThrows(DeviceException.class, () -> SoftmaxHead.open(file, accelerated));
            assertEquals("Only the slow reference backend would run " + ALONE, e.getMessage());
            HeadOptions contrary = accelerated.withDevice(Device.REFERENCE);
            assertThrows(DeviceException.class, () -> SoftmaxHead.open(file, contrary));
            assertEquals(3, logged.size(), logged.toString());
        } finally {
            log.removeHandler(handler);
            log.setUseParentHandlers(true);
        }
    }

    @Test
    void aBackendOfSomebodyElseIsRefused() {
        Backend foreign = new Backend() {
            @Override
            public String name() {
                return "mine";
            }

            @Override
            public String description() {
                return "mine";
            }

            @Override
            public void close() {
                // holds nothing
            }
        };
        CompressedMatrix matrix = HeadFixture.matrix("a", 1);
        InvalidOptionException e = assertThrows(
                InvalidOptionException.class, () -> SoftmaxHead.of(foreign, matrix, null, HeadOptions.defaults()));
        assertEquals("The backend 'mine' cannot compute; take one from BackendSelection.select.", e.getMessage());
    }

    private void refused(Device device, String reason) {
        DeviceException e = assertThrows(DeviceException.class, () -> select(device));
        assertEquals(
                "The device " + device + " cannot be used here (" + reason + "); 'groupreduce devices' lists what can.",
                e.getMessage());
    }
}
