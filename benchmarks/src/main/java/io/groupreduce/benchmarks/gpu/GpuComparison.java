package io.groupreduce.benchmarks.gpu;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidOptionException;
import java.time.LocalDate;

/**
 * Measures the GPU backend beside its peers on one card and prints Markdown, the most important figures first; the last table says what was
 * to be reached.
 */
public final class GpuComparison {
    private static final int ROWS = 793_471;
    private static final int SMALL_ROWS = 2000;
    private static final int COLUMNS = 1024;
    private static final int SMALL_COLUMNS = 128;

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
        Report report = new Report(System.out, arguments.begun(), arguments.limit());
        try (Backend backend = BackendSelection.select(
                                io.groupreduce.api.Device.cuda(arguments.ordinal()),
                                Runtime.getRuntime().availableProcessors())
                        .backend();
                Device device = Device.open(CudaLibraries.find(), arguments.ordinal());
                Card card = device.call(() -> new Card(device, arguments.small()))) {
            report.line("# GPU measurements, " + backend.description());
            report.line("");
            report.line("Commit " + System.getProperty("groupreduce.commit", "unknown") + ", " + LocalDate.now()
                    + ", driver "
                    + device.properties().driverVersion() + ", "
                    + String.join(", ", device.libraries().names())
                    + ". Medians of times taken with events on the card, the middle half in brackets.");
            sections(arguments, card, backend, report);
            report.end();
        }
    }

    private static void sections(GpuArguments arguments, Card card, Backend backend, Report report) {
        boolean small = arguments.small();
        int rows = small ? SMALL_ROWS : ROWS;
        int columns = small ? SMALL_COLUMNS : COLUMNS;
        HeadSection heads = new HeadSection(card, backend, rows, small, report);
        try (BigMatrix big = new BigMatrix(rows, columns)) {
            for (String section : arguments.sections()) {
                switch (section) {
                    case "query" -> heads.headline();
                    case "kernels" -> KernelSection.run(card, backend, rows, small, report);
                    case "compress" -> CompressSection.run(backend, big, report);
                    case "heads" -> heads.others();
                    case "gram" -> GramSection.run(card, backend, big, small, report);
                    case "eigen" -> EigenSection.run(card, big, small, report);
                    case "torch" -> TorchSection.run(arguments, rows, columns, report);
                    case "more" -> CompressSection.more(backend, big, report);
                    default -> throw new IllegalArgumentException(section);
                }
            }
        }
    }
}
