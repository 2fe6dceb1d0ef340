package io.groupreduce.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.BackendSelection;
import io.groupreduce.error.DeviceException;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.DeviceStatus;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The backend as the rest of the software finds it. */
@Tag("gpu")
class CudaBackendTest {
    @Test
    void theProviderIsFoundAndPreferred() {
        TestDevice.libraries();
        BackendProvider first = BackendSelection.providers().get(0);
        assertEquals("cuda", first.name());
        List<DeviceStatus> devices = first.probe();
        assertTrue(devices.get(0).available(), devices.get(0).reason());
        assertTrue(devices.get(0).memoryBytes() > 0);
        assertTrue(devices.get(0).libraries().stream().anyMatch(name -> name.startsWith("libcublas")));
    }

    @Test
    void aCardIsChosenByNameAndByDefault() {
        TestDevice.libraries();
        for (String device : new String[] {"auto", "cuda", "cuda:0"}) {
            try (Backend backend = BackendSelection.select(device, 1).backend()) {
                assertEquals("cuda:0", backend.name());
                assertTrue(backend.memoryBandwidth().getAsDouble() > 0);
            }
        }
        assertThrows(DeviceException.class, () -> BackendSelection.select("cuda:99", 1));
    }

    @Test
    void closingTwiceIsHarmless() {
        TestDevice.libraries();
        Backend backend = BackendSelection.select("cuda", 1).backend();
        backend.close();
        backend.close();
    }
}
