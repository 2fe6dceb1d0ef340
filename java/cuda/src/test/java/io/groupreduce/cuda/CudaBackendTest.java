package io.groupreduce.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.api.DeviceStatus;
import io.groupreduce.error.DeviceException;
import io.groupreduce.spi.ComputeBackend;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The backend as the rest of the software finds it. */
@Tag("gpu")
class CudaBackendTest {
    @Test
    void theProviderIsFoundAndPreferred() {
        TestDevice.libraries();
        List<DeviceStatus> devices = BackendSelection.devices();
        assertEquals("cuda:0", devices.get(0).device());
        assertTrue(devices.get(0).available(), devices.get(0).reason());
        assertTrue(devices.get(0).memoryBytes() > 0);
        assertTrue(devices.get(0).libraries().stream().anyMatch(name -> name.startsWith("libcublas")));
    }

    @Test
    void aCardIsChosenByNameAndByDefault() {
        TestDevice.libraries();
        for (Device device : new Device[] {Device.AUTO, Device.CUDA, Device.cuda(0)}) {
            try (Backend backend = BackendSelection.select(device, 1).backend()) {
                assertEquals("cuda:0", backend.name());
                assertTrue(ComputeBackend.of(backend).memoryBandwidth().getAsDouble() > 0);
            }
        }
        assertThrows(DeviceException.class, () -> BackendSelection.select(Device.cuda(99), 1));
    }

    @Test
    void closingTwiceIsHarmless() {
        TestDevice.libraries();
        Backend backend = BackendSelection.select(Device.CUDA, 1).backend();
        backend.close();
        backend.close();
    }
}
