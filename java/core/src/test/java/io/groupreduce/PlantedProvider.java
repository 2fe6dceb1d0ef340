package io.groupreduce;

import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.Threads;
import io.groupreduce.error.DeviceException;
import io.groupreduce.internal.reference.ReferenceBackendProvider;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.ComputeBackend;
import java.util.List;

/** A provider of two cards whose behaviour a test sets; the second card is always unavailable. */
final class PlantedProvider implements BackendProvider {
    boolean available = true;
    DeviceException failure;
    int probes;

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public String deviceKind() {
        return "cuda";
    }

    @Override
    public int preference() {
        return 20;
    }

    @Override
    public List<DeviceStatus> probe() {
        probes++;
        return available
                ? List.of(
                        new DeviceStatus("cuda:0", true, "a card", 1, List.of()),
                        new DeviceStatus("cuda:1", false, "it is too old", 1, List.of()))
                : List.of(new DeviceStatus("cuda", false, "no driver", 0, List.of()));
    }

    @Override
    public ComputeBackend create(int index, Threads threads) {
        if (failure != null) {
            throw failure;
        }
        return new ReferenceBackendProvider().create(0, threads);
    }
}
