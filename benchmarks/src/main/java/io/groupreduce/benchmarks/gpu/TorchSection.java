package io.groupreduce.benchmarks.gpu;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.groupreduce.error.DeviceException;

/** What PyTorch takes on the same card for the like of our steps; it starts only here, for that takes seconds. */
final class TorchSection {
    private static final int GROUPS = 16;
    private static final int[] BATCHES = {1, 8, 64, 256, 512};
    private static final double RATIO = 6.6;
    /** A guess. */
    private static final int SECONDS = 60;

    private TorchSection() {}

    static void run(GpuArguments arguments, int rows, int columns, Report report) {
        if (arguments.python() == null || !report.hasTime("PyTorch", SECONDS)) {
            return;
        }
        report.section("PyTorch on the same card");
        report.table("what", "ms");
        try (TorchPeer torch = new TorchPeer(arguments.python(), arguments.script())) {
            report.row(torch.description(), "");
            for (int batch : BATCHES) {
                ObjectNode request = TorchPeer.request("softmax")
                        .put("rows", rows)
                        .put("columns", columns)
                        .put("batch", batch)
                        .put("k", HeadSection.TOP)
                        .put("repeats", 10);
                row(report, torch, request, "dense BF16 head, log-sum-exp and top k, batch " + batch);
            }
            for (boolean fp64 : new boolean[] {true, false}) {
                ObjectNode request = TorchPeer.request("gram")
                        .put("rows", rows / 4)
                        .put("columns", columns)
                        .put("double", fp64)
                        .put("repeats", 3);
                String what = fp64 ? "binary64" : "binary32";
                row(report, torch, request, "A^T A of a quarter of the rows, " + what + " (all D^2 computed)");
            }
            ObjectNode eigh = TorchPeer.request("eigh")
                    .put("columns", columns)
                    .put("count", GROUPS)
                    .put("repeats", 1);
            row(report, torch, eigh, "torch.linalg.eigh of " + GROUPS + " matrices, all pairs");
            row(
                    report,
                    torch,
                    svd(rows, columns),
                    "torch.svd_lowrank of " + GROUPS + " groups, no weights, no refinement");
        } catch (DeviceException e) {
            report.row(e.getMessage(), "");
        }
    }

    private static void row(Report report, TorchPeer torch, ObjectNode request, String what) {
        Times times = torch.times(request);
        report.row(what, times == null ? "out of memory" : times);
    }

    /** One SVD of every group at the rank of 6.6x, neither weighted nor refined: less work than a compression. */
    private static ObjectNode svd(int rows, int columns) {
        ObjectNode request =
                TorchPeer.request("svd_lowrank").put("columns", columns).put("repeats", 1);
        ArrayNode sizes = request.putArray("rows");
        ArrayNode ranks = request.putArray("ranks");
        for (int g = 0; g < GROUPS; g++) {
            sizes.add(rows / GROUPS);
            ranks.add((int) (columns / RATIO));
        }
        return request;
    }
}
