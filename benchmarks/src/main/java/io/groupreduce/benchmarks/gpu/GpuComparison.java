package io.groupreduce.benchmarks.gpu;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.spi.ComputeBackend;
import java.time.LocalDate;
import java.util.Set;

/** Measures the GPU backend beside its peers on one card and prints Markdown; the last table says what was to be reached. */
public final class GpuComparison {
    private static final int ROWS = 793_471;
    private static final int COLUMNS = 1024;

    private GpuComparison() {}

    /** Arguments: see {@link GpuArguments#parse}. */
    public static void main(String[] arguments) {
        try {
            run(GpuArguments.parse(arguments));
        } catch (InvalidOptionException e) {
            System.err.println(e.getMessage());
            System.exit(2);
        } catch (DeviceException e) {
            System.err.println(e.getMessage());
            System.exit(3);
        }
    }

    private static void run(GpuArguments arguments) {
        Report report = new Report(System.out);
        try (Backend backend = BackendSelection.select(io.groupreduce.api.Device.cuda(arguments.ordinal()), 2)
                        .backend();
                Device device = Device.open(CudaLibraries.find(), arguments.ordinal());
                Card card = device.call(() -> new Card(device, arguments.quick()));
                TorchPeer torch =
                        arguments.python() == null ? null : new TorchPeer(arguments.python(), arguments.script())) {
            report.line("# GPU measurements, " + backend.description());
            report.line("");
            report.line("Commit " + System.getProperty("groupreduce.commit", "unknown") + ", " + LocalDate.now()
                    + ", driver "
                    + device.properties().driverVersion() + ", "
                    + String.join(", ", device.libraries().names())
                    + (torch == null ? "" : ", " + torch.description())
                    + ". Medians of times taken with events on the card, the middle half in brackets.");
            sections(arguments, card, backend, torch, report);
            report.goals();
        }
    }

    private static void sections(GpuArguments arguments, Card card, Backend backend, TorchPeer torch, Report report) {
        Set<String> wanted = arguments.sections();
        boolean quick = arguments.quick();
        if (wanted.contains("copy") || wanted.contains("kernels")) {
            double copyRate = ComputeBackend.of(backend).memoryBandwidth().orElseThrow();
            report.section("Copy inside the card's memory");
            report.table("GB/s read and written");
            report.row(Times.digits(copyRate / 1e9));
            if (wanted.contains("kernels")) {
                KernelSection.run(card, backend, copyRate / 1e3, quick, report);
            }
        }
        if (wanted.contains("heads")) {
            HeadSection.run(card, backend, torch, quick, report);
        }
        if (wanted.contains("gram") || wanted.contains("eigen") || wanted.contains("compress")) {
            try (BigMatrix big = quick ? new BigMatrix(2_000, 128) : new BigMatrix(ROWS, COLUMNS)) {
                if (wanted.contains("gram")) {
                    GramSection.run(card, backend, big, torch, quick, report);
                }
                if (wanted.contains("eigen")) {
                    EigenSection.run(card, big, torch, quick, report);
                }
                if (wanted.contains("compress")) {
                    CompressSection.run(backend, big, torch, report);
                }
            }
        }
    }
}
