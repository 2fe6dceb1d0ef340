package io.groupreduce.benchmarks.gpu;

import io.groupreduce.Answers;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.api.Backend;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import java.lang.foreign.Arena;
import java.util.Map;
import java.util.TreeMap;

/** Whole queries, top 10 with log-probabilities, of compressed heads against dense BF16 ones: ours fused and cuBLAS's. */
final class HeadSection {
    static final int TOP = 10;
    private static final int COLUMNS = 1024;
    private static final int[] OTHER_BATCHES = {8, 64, 256, 32, 512};
    private static final int[] SMALL_BATCHES = {9};
    private static final double WANTED_SMALL = 15;
    private static final double WANTED_LARGE = 6;
    private static final double FIRST_RATIO = 6.6;
    private static final double SECOND_RATIO = 26;

    /** Guesses. */
    private static final int SECONDS_OF_PEER = 12;

    private static final int SECONDS_OF_HEAD = 6;

    private final Card card;
    private final Backend backend;
    private final boolean small;
    private final Report report;
    private final int rows;
    private final int repeats;
    /** What a dense query took by batch, in milliseconds. */
    private final Map<Integer, Double> peer = new TreeMap<>();

    HeadSection(Card card, Backend backend, int rows, boolean small, Report report) {
        this.card = card;
        this.backend = backend;
        this.rows = rows;
        this.small = small;
        this.report = report;
        repeats = small ? 2 : 20;
    }

    /** The figure that matters most: one state, 26x. */
    void headline() {
        if (!report.hasTime("one state at 26x beside dense cuBLAS", SECONDS_OF_PEER + SECONDS_OF_HEAD)) {
            return;
        }
        title("one state");
        try (Arena arena = Arena.ofShared()) {
            peer(SyntheticHead.dense(rows, COLUMNS, Codec.BF16, arena), 1);
            compressed(Codec.INT4, SECOND_RATIO, 1);
        }
    }

    /** The other batches, and the other heads at all. */
    void others() {
        if (!report.hasTime("queries of more states", SECONDS_OF_PEER)) {
            return;
        }
        title("all batches");
        int[] batches = small ? SMALL_BATCHES : OTHER_BATCHES;
        int[] all = new int[batches.length + 1];
        all[0] = 1;
        System.arraycopy(batches, 0, all, 1, batches.length);
        try (Arena arena = Arena.ofShared()) {
            CompressedMatrix dense = SyntheticHead.dense(rows, COLUMNS, Codec.BF16, arena);
            peer(dense, all);
            compressed(Codec.INT4, SECOND_RATIO, batches);
            compressed(Codec.INT8, SECOND_RATIO, all);
            if (report.hasTime("the dense head, fused", SECONDS_OF_HEAD)) {
                ours("dense BF16, fused", false, dense, all);
            }
            compressed(Codec.INT8, FIRST_RATIO, all);
            compressed(Codec.INT4, FIRST_RATIO, all);
        }
    }

    private void title(String what) {
        report.section("Softmax queries, " + rows + " x " + COLUMNS + ", top " + TOP
                + " with log-probabilities, cache emptied before each: " + what);
        report.table("head", "batch", "ms", "times as fast as dense cuBLAS");
    }

    /** The dense peer, which must compute what it is compared for: its likeliest tokens are those of the same head in ours. */
    private void peer(CompressedMatrix dense, int... batches) {
        int checked = Math.min(8, most(batches));
        float[] hidden = DensePeer.rounded(TopQuery.states(checked, COLUMNS));
        int[] theirs;
        try (DensePeer blas = new DensePeer(card, dense, most(batches), TOP)) {
            for (int batch : batches) {
                short[] states = DensePeer.stored(TopQuery.states(batch, COLUMNS));
                Times times = card.time(repeats, () -> blas.top(states, batch));
                peer.put(batch, times.median());
                report.row("dense BF16, cuBLAS, then log-sum-exp and top k of the logits in memory", batch, times, "1");
            }
            theirs = card.device().call(() -> blas.top(DensePeer.stored(hidden), checked));
        }
        Answers best;
        try (SoftmaxHead head = SoftmaxHead.of(backend, dense, null, HeadOptions.defaults())) {
            best = new TopQuery(hidden, checked, TOP).ask(head);
        }
        int same = 0;
        for (int i = 0; i < theirs.length; i++) {
            same += theirs[i] == best.topToken(i / TOP, i % TOP) ? 1 : 0;
        }
        report.row(
                "top tokens that cuBLAS and the fused kernel name alike", checked, same + " of " + theirs.length, "");
    }

    private static int most(int[] batches) {
        int most = 0;
        for (int batch : batches) {
            most = Math.max(most, batch);
        }
        return most;
    }

    private void compressed(Codec codec, double ratio, int... batches) {
        String what = codec + " factors, " + Times.digits(ratio) + "x";
        if (!report.hasTime(what, SECONDS_OF_HEAD)) {
            return;
        }
        try (Arena arena = Arena.ofShared()) {
            CompressedMatrix head = SyntheticHead.ofRatio(rows, COLUMNS, codec, ratio, arena);
            String name = codec + " factors, " + Times.digits(2.0 * rows * COLUMNS / head.bytes()) + "x";
            ours(name, ratio == SECOND_RATIO, head, batches);
        }
    }

    private void ours(String name, boolean judged, CompressedMatrix matrix, int... batches) {
        try (SoftmaxHead head = SoftmaxHead.of(backend, matrix, null, HeadOptions.defaults())) {
            for (int batch : batches) {
                TopQuery query = new TopQuery(TopQuery.states(batch, COLUMNS), batch, TOP);
                Times times = card.time(repeats, () -> query.ask(head));
                double ratio = peer.get(batch) / times.median();
                report.row(name, batch, times, Times.digits(ratio));
                if (judged && (batch <= 8 || batch == 256)) {
                    report.atLeast(
                            "times as fast as dense cuBLAS, " + name + ", batch " + batch,
                            batch <= 8 ? WANTED_SMALL : WANTED_LARGE,
                            ratio);
                }
            }
        }
    }
}
