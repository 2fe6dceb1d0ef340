package io.groupreduce.cuda;

import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.Threads;
import io.groupreduce.cuda.driver.Cards;
import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.ComputeBackend;
import java.util.List;

/** Offers the {@link CudaBackend}, one device a card, where there is an NVIDIA driver. */
public final class CudaBackendProvider implements BackendProvider {
    private final CudaLibraries libraries = CudaLibraries.find();

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
        return Cards.probe(libraries);
    }

    @Override
    public ComputeBackend create(int index, Threads threads) {
        return new CudaBackend(Device.open(libraries, index), threads);
    }
}
