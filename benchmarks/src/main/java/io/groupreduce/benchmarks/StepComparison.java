package io.groupreduce.benchmarks;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Each step of a compression and its peer in OpenBLAS, in turn in one process, so that a change of the machine's speed meets
 * both. Prints a Markdown table of medians. Arguments: rounds (default 15), then thread counts (default 1 and 2).
 */
public final class StepComparison {
    private static final double GRAM_GIGAFLOP =
            (double) StepFixture.ROWS * StepFixture.COLUMNS * (StepFixture.COLUMNS + 1) / 1e9;
    private static final double PROJECTION_GIGAFLOP =
            2.0 * StepFixture.ROWS * StepFixture.COLUMNS * StepFixture.RANK / 1e9;

    /** OpenBLAS's threads keep a core busy for a while after a call, in wait of the next; that would slow whatever follows. */
    private static final long PAUSE_MILLIS = 200;

    /** A step and its peer. {@code gigaflop} is 0 where a rate says nothing. */
    private record Pair(
            String step,
            String peer,
            double gigaflop,
            Runnable prepare,
            Runnable ours,
            Runnable preparePeer,
            Runnable theirs) {}

    private StepComparison() {}

    public static void main(String[] arguments) {
        int rounds = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 15;
        int[] threads = arguments.length > 1
                ? Arrays.stream(arguments).skip(1).mapToInt(Integer::parseInt).toArray()
                : new int[] {1, 2};
        System.out.printf(
                Locale.ROOT,
                "%d x %d F32, leading %d directions, %d rounds in turn, %d cores, Java %s%n%n",
                StepFixture.ROWS,
                StepFixture.COLUMNS,
                StepFixture.RANK,
                rounds,
                Runtime.getRuntime().availableProcessors(),
                Runtime.version());
        System.out.println(
                "| step | threads | ours ms (least-most) | peer | peer ms (least-most) | ours GFLOP/s | peer time / ours |");
        System.out.println("|---|---|---|---|---|---|---|");
        for (int count : threads) {
            try (StepFixture fixture = new StepFixture(count)) {
                pairs(fixture).forEach(pair -> compare(pair, count, rounds));
            }
        }
        if (threads.length > 1) {
            scaling(threads[0], threads[threads.length - 1], rounds);
        }
    }

    /** Few and many threads in turn: measured minutes apart, the machine's drift would pass for scaling. */
    private static void scaling(int few, int many, int rounds) {
        System.out.printf(
                "%n| step | %d threads are so many times as fast as %d, median (least-most) |%n|---|---|%n", many, few);
        try (StepFixture slow = new StepFixture(few);
                StepFixture fast = new StepFixture(many)) {
            List<Pair> slowPairs = pairs(slow);
            List<Pair> fastPairs = pairs(fast);
            for (int p = 0; p < slowPairs.size(); p++) {
                if (p > 0 && slowPairs.get(p).step.equals(slowPairs.get(p - 1).step)) {
                    continue;
                }
                double[] ratios = new double[rounds];
                for (int r = -Math.min(3, rounds); r < rounds; r++) {
                    double alone = seconds(slowPairs.get(p).prepare, slowPairs.get(p).ours);
                    double together = seconds(fastPairs.get(p).prepare, fastPairs.get(p).ours);
                    if (r >= 0) {
                        ratios[r] = alone / together;
                    }
                }
                Arrays.sort(ratios);
                System.out.printf(
                        Locale.ROOT,
                        "| %s | %.2f (%.2f-%.2f) |%n",
                        slowPairs.get(p).step,
                        ratios[rounds / 2],
                        ratios[0],
                        ratios[rounds - 1]);
            }
        }
    }

    private static List<Pair> pairs(StepFixture fixture) {
        Runnable nothing = () -> {};
        return List.of(
                new Pair(
                        "weighted Gram",
                        "rows scaled in Java by 1 thread, then ssyrk",
                        GRAM_GIGAFLOP,
                        fixture::forget,
                        fixture::gram,
                        nothing,
                        fixture::gramPeer),
                new Pair(
                        "weighted Gram",
                        "ssyrk alone, rows scaled beforehand",
                        GRAM_GIGAFLOP,
                        fixture::forget,
                        fixture::gram,
                        nothing,
                        fixture::gramOfScaledPeer),
                new Pair(
                        "projection",
                        "sgemm",
                        PROJECTION_GIGAFLOP,
                        nothing,
                        fixture::project,
                        nothing,
                        fixture::projectPeer),
                new Pair(
                        "leading eigenvectors",
                        "ssyevr",
                        0,
                        fixture::freshGram,
                        fixture::eigen,
                        fixture::copyGram,
                        fixture::eigenPeer),
                new Pair(
                        "all eigenvectors",
                        "dsyevd",
                        0,
                        fixture::freshGram,
                        fixture::eigenFull,
                        fixture::copyGram,
                        fixture::eigenFullPeer));
    }

    /** Prints a line. */
    private static void compare(Pair pair, int threads, int rounds) {
        double[] ours = new double[rounds];
        double[] theirs = new double[rounds];
        double[] ratios = new double[rounds];
        int warmUp = Math.min(3, rounds);
        for (int r = -warmUp; r < rounds; r++) {
            double mine = seconds(pair.prepare, pair.ours);
            double peers = seconds(pair.preparePeer, pair.theirs);
            if (r >= 0) {
                ours[r] = mine;
                theirs[r] = peers;
                ratios[r] = peers / mine;
            }
        }
        Arrays.sort(ours);
        Arrays.sort(theirs);
        Arrays.sort(ratios);
        double median = ours[rounds / 2];
        System.out.printf(
                Locale.ROOT,
                "| %s | %d | %.2f (%.2f-%.2f) | %s | %.2f (%.2f-%.2f) | %s | %.2f |%n",
                pair.step,
                threads,
                1e3 * median,
                1e3 * ours[0],
                1e3 * ours[rounds - 1],
                pair.peer,
                1e3 * theirs[rounds / 2],
                1e3 * theirs[0],
                1e3 * theirs[rounds - 1],
                pair.gigaflop == 0 ? "" : String.format(Locale.ROOT, "%.1f", pair.gigaflop / median),
                ratios[rounds / 2]);
    }

    private static double seconds(Runnable prepare, Runnable step) {
        prepare.run();
        try {
            Thread.sleep(PAUSE_MILLIS);
        } catch (InterruptedException e) {
            throw new IllegalStateException("interrupted", e);
        }
        long begun = System.nanoTime();
        step.run();
        return (System.nanoTime() - begun) / 1e9;
    }
}
