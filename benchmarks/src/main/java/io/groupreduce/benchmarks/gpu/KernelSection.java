package io.groupreduce.benchmarks.gpu;

import io.groupreduce.SoftmaxHead;
import io.groupreduce.api.Backend;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.util.List;

/** How near the fused softmax of a small batch comes to the speed of the memory, by codec; a whole query is timed. */
final class KernelSection {
    private static final int COLUMNS = 1024;
    private static final int RANK = 512;
    private static final double WANTED_SHARE = 0.85;
    /** A guess. */
    private static final int SECONDS_OF_CODEC = 5;

    private KernelSection() {}

    static void run(Card card, Backend backend, int rows, boolean small, Report report) {
        if (!report.hasTime("the share of the copy's speed", SECONDS_OF_CODEC)) {
            return;
        }
        report.section("Fused softmax, " + rows + " x " + COLUMNS + ", one group of rank " + RANK
                + ", greedy token and log-sum-exp: share of the copy's speed in bytes read");
        report.table("codec", "batch", "MB read", "ms", "GB/s", "share");
        // Bytes that a copy inside the card's memory reads and writes in a millisecond.
        double copyRate = ComputeBackend.of(backend).memoryBandwidth().orElseThrow() / 1e3;
        report.row("copy, read and written", "", "", "", Times.digits(copyRate / 1e6), "1");
        for (Codec codec : List.of(Codec.BF16, Codec.INT8, Codec.INT4, Codec.F32)) {
            if (!report.hasTime("the share of the copy's speed of " + codec, SECONDS_OF_CODEC)) {
                continue;
            }
            try (Arena arena = Arena.ofShared()) {
                CompressedMatrix matrix = SyntheticHead.ofRank(rows, COLUMNS, codec, RANK, arena);
                long bytes = matrix.left(0).bytes() + matrix.right(0).bytes();
                try (SoftmaxHead head = SoftmaxHead.of(backend, matrix, null, HeadOptions.defaults())) {
                    for (int batch : new int[] {1, 4, 8}) {
                        TopQuery query = new TopQuery(TopQuery.states(batch, COLUMNS), batch, 1);
                        Times times = card.time(small ? 3 : 30, () -> query.ask(head));
                        double share = bytes / times.median() / copyRate;
                        report.row(
                                codec,
                                batch,
                                Times.digits(bytes / 1e6),
                                times,
                                Times.digits(bytes / times.median() / 1e6),
                                Times.digits(share));
                        if (codec == Codec.BF16 || codec == Codec.INT8) {
                            report.atLeast(
                                    "share of the copy's speed, " + codec + ", batch " + batch, WANTED_SHARE, share);
                        }
                    }
                }
            }
        }
    }
}
