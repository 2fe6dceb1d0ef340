package io.groupreduce.internal.reference;

import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.Threads;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.ComputeBackend;
import java.util.List;

/** Offers the {@link ReferenceBackend}, which runs everywhere and is chosen last. */
public final class ReferenceBackendProvider implements BackendProvider {
    @Override
    public String name() {
        return "reference";
    }

    @Override
    public String deviceKind() {
        return "cpu";
    }

    @Override
    public int preference() {
        return 0;
    }

    @Override
    public List<DeviceStatus> probe() {
        return List.of(new DeviceStatus("reference", true, "plain double loops, 1 thread", 0, List.of()));
    }

    @Override
    public ComputeBackend create(int index, Threads threads) {
        return new ReferenceBackend();
    }
}
