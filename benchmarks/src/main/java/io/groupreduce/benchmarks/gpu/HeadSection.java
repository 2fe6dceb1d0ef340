package io.groupreduce.benchmarks.gpu;

import io.groupreduce.Answers;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.api.Backend;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/** Whole queries, top 10 with log-probabilities, of compressed heads against dense BF16 ones: ours fused, cuBLAS's, PyTorch's. */
final class HeadSection {
    private static final int ROWS = 793_471;
    private static final int COLUMNS = 1024;
    private static final int TOP = 10;
    private static final int[] ALL_BATCHES = {1, 8, 32, 64, 256, 512};
    private static final int[] QUICK_BATCHES = {1, 9};
    private static final int QUICK_ROWS = 2000;
    private static final double WANTED_SMALL = 15;
    private static final double WANTED_LARGE = 6;

    private static final double FIRST_RATIO = 6.6;
    private static final double SECOND_RATIO = 26;

    /** A head and what its queries took, by batch; whether more is wanted of it than to be shown. */
    private record Measured(String name, boolean judged, List<Times> times) {
        static Measured of(String name) {
            return new Measured(name, false, new ArrayList<>());
        }
    }

    private final Card card;
    private final Backend backend;
    private final Report report;
    private final int rows;
    private final int[] batches;
    private final int repeats;

    private HeadSection(Card card, Backend backend, boolean quick, Report report) {
        this.card = card;
        this.backend = backend;
        this.report = report;
        rows = quick ? QUICK_ROWS : ROWS;
        batches = quick ? QUICK_BATCHES : ALL_BATCHES;
        repeats = quick ? 2 : 20;
    }

    static void run(Card card, Backend backend, TorchPeer torch, boolean quick, Report report) {
        new HeadSection(card, backend, quick, report).run(torch);
    }

    private void run(TorchPeer torch) {
        List<Measured> measured = new ArrayList<>();
        try (Arena arena = Arena.ofShared()) {
            CompressedMatrix dense = SyntheticHead.dense(rows, COLUMNS, Codec.BF16, arena);
            Measured peer = Measured.of("dense BF16, cuBLAS, then log-sum-exp and top k of the logits in memory");
            try (DensePeer blas = new DensePeer(card, dense, batches[batches.length - 1], TOP)) {
                for (int batch : batches) {
                    short[] states = DensePeer.stored(TopQuery.states(batch, COLUMNS));
                    peer.times.add(card.time(repeats, () -> blas.top(states, batch)));
                }
                checkPeer(blas, dense);
            }
            measured.add(peer);
            measured.add(ours(Measured.of("dense BF16, fused"), dense));
            for (Codec codec : List.of(Codec.INT8, Codec.INT4)) {
                for (double ratio : new double[] {FIRST_RATIO, SECOND_RATIO}) {
                    CompressedMatrix head = SyntheticHead.ofRatio(rows, COLUMNS, codec, ratio, arena);
                    String name = codec + " factors, " + Times.digits(2.0 * rows * COLUMNS / head.bytes()) + "x";
                    measured.add(ours(new Measured(name, ratio == SECOND_RATIO, new ArrayList<>()), head));
                }
            }
        }
        if (torch != null) {
            measured.add(1, theirs(torch));
        }
        print(measured);
    }

    private Measured ours(Measured measured, CompressedMatrix matrix) {
        try (SoftmaxHead head = SoftmaxHead.of(backend, matrix, null, HeadOptions.defaults())) {
            for (int batch : batches) {
                TopQuery query = new TopQuery(TopQuery.states(batch, COLUMNS), batch, TOP);
                measured.times.add(card.time(repeats, () -> query.ask(head)));
            }
        }
        return measured;
    }

    private Measured theirs(TorchPeer torch) {
        Measured measured = Measured.of("dense BF16, " + torch.description());
        for (int batch : batches) {
            measured.times.add(torch.times(TorchPeer.request("softmax")
                    .put("rows", rows)
                    .put("columns", COLUMNS)
                    .put("batch", batch)
                    .put("k", TOP)
                    .put("repeats", repeats)));
        }
        return measured;
    }

    /** The peer must compute what it is compared for: its likeliest tokens are those of the same head in ours. */
    private void checkPeer(DensePeer peer, CompressedMatrix dense) {
        int batch = 8;
        float[] hidden = DensePeer.rounded(TopQuery.states(batch, COLUMNS));
        int[] theirs = card.device().call(() -> peer.top(DensePeer.stored(hidden), batch));
        Answers best;
        try (SoftmaxHead head = SoftmaxHead.of(backend, dense, null, HeadOptions.defaults())) {
            best = new TopQuery(hidden, batch, TOP).ask(head);
        }
        int same = 0;
        for (int i = 0; i < theirs.length; i++) {
            same += theirs[i] == best.topToken(i / TOP, i % TOP) ? 1 : 0;
        }
        report.line("");
        report.line("Of " + theirs.length + " top tokens of the dense head, cuBLAS and the fused kernel name " + same
                + " alike.");
    }

    private void print(List<Measured> measured) {
        report.section("Softmax queries, " + rows + " x " + COLUMNS + ", top " + TOP
                + " with log-probabilities, cache emptied before each: ms, and times as fast as cuBLAS");
        List<String> header = new ArrayList<>(List.of("head"));
        for (int batch : batches) {
            header.add("batch " + batch);
        }
        report.table(header.toArray(String[]::new));
        Measured peer = measured.get(0);
        for (Measured head : measured) {
            List<Object> cells = new ArrayList<>(List.of(head.name));
            for (int b = 0; b < batches.length; b++) {
                Times times = head.times.get(b);
                cells.add(times == null ? "out of memory" : times + cellRatio(peer.times.get(b), times));
            }
            report.row(cells.toArray());
        }
        for (Measured head : measured) {
            if (head.judged) {
                for (int b = 0; b < batches.length; b++) {
                    double ratio =
                            peer.times.get(b).median() / head.times.get(b).median();
                    if (batches[b] <= 8) {
                        report.atLeast(
                                "times as fast as dense cuBLAS, " + head.name + ", batch " + batches[b],
                                WANTED_SMALL,
                                ratio);
                    } else if (batches[b] == 256) {
                        report.atLeast(
                                "times as fast as dense cuBLAS, " + head.name + ", batch 256", WANTED_LARGE, ratio);
                    }
                }
            }
        }
    }

    private static String cellRatio(Times peer, Times times) {
        return ", " + Times.digits(peer.median() / times.median()) + "x";
    }
}
