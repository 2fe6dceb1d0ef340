package io.groupreduce.benchmarks.head;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Contestants in turn in one process, so that a change of the machine's speed meets all. A round is, for each: a pause in which
 * the threads of the one before fall asleep, a call that is not timed, and as many timed calls as fit in a short while.
 *
 * @param rounds most rounds
 * @param seconds that all rounds together should take; fewer rounds are run where they take longer, but at least
 *     {@value #FEWEST_ROUNDS}
 * @param pauseMillis OpenBLAS's threads and ONNX Runtime's keep a core busy for a while after a call, in wait of the next
 * @param flush before every timed call: empties the caches, or does nothing
 */
record Contest(int rounds, double seconds, long pauseMillis, Runnable flush) {
    private static final int FEWEST_ROUNDS = 3;
    private static final int MOST_WARM_UPS = 5000;
    private static final double BLOCK_SECONDS = 0.04;
    private static final int MOST_REPEATS = 40;

    /** From here on a call is long enough to need no call before it that wakes the threads. */
    private static final double LONG_CALL = 0.3;

    /** Something that is called again and again. */
    @FunctionalInterface
    interface Call {
        /** @param turn counts the calls, for whoever asks about different things in turn */
        void run(int turn);
    }

    /** A call and how it is timed. */
    private static final class Contestant {
        private final Call call;
        private final double estimate;
        private final int repeats;
        private final double[] rounds;
        private int turn;

        Contestant(Call call, double estimate, int rounds) {
            this.call = call;
            this.estimate = estimate;
            this.repeats = (int) Math.max(1, Math.min(MOST_REPEATS, BLOCK_SECONDS / estimate));
            this.rounds = new double[rounds];
        }

        void round(int r, Runnable flush) {
            if (estimate < LONG_CALL) {
                call.run(turn++);
            }
            double[] times = new double[repeats];
            for (int i = 0; i < repeats; i++) {
                flush.run();
                times[i] = time(call, turn++);
            }
            rounds[r] = Timing.median(times);
        }
    }

    /** Times all calls; results are in their order. */
    List<Timing> run(List<Call> calls, double warmUpSeconds) {
        double[] estimates = new double[calls.size()];
        double perRound = 0;
        for (int c = 0; c < estimates.length; c++) {
            pause();
            estimates[c] = warmUp(calls.get(c), warmUpSeconds);
            perRound += Math.max(BLOCK_SECONDS, estimates[c]) + pauseMillis / 1e3;
        }
        int fewest = Math.min(FEWEST_ROUNDS, rounds);
        int affordable = (int) Math.max(fewest, Math.min(rounds, seconds / perRound));
        List<Contestant> contestants = new ArrayList<>();
        for (int c = 0; c < estimates.length; c++) {
            contestants.add(new Contestant(calls.get(c), estimates[c], affordable));
        }
        for (int r = 0; r < affordable; r++) {
            for (Contestant contestant : contestants) {
                pause();
                contestant.round(r, flush);
            }
        }
        return contestants.stream().map(c -> new Timing(c.rounds)).toList();
    }

    /** Calls until everything is compiled, and says how long a call takes then. */
    private static double warmUp(Call call, double warmUpSeconds) {
        double[] last = new double[5];
        double spent = 0;
        int calls = 0;
        while (calls < 2 || spent < warmUpSeconds && calls < MOST_WARM_UPS) {
            double took = time(call, calls);
            last[calls++ % last.length] = took;
            spent += took;
        }
        return Timing.median(Arrays.copyOf(last, Math.min(calls, last.length)));
    }

    private static double time(Call call, int turn) {
        long begun = System.nanoTime();
        call.run(turn);
        return (System.nanoTime() - begun) / 1e9;
    }

    private void pause() {
        if (pauseMillis > 0) {
            try {
                Thread.sleep(pauseMillis);
            } catch (InterruptedException e) {
                throw new IllegalStateException("interrupted", e);
            }
        }
    }
}
