package io.groupreduce.cli;

import io.groupreduce.Answers;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import java.util.Arrays;

/** One query that is timed: a head, a batch size, and what is asked. */
final class SoftmaxCase {
    /** The likeliest tokens with their log-probabilities. */
    static final String TOP = "top10";

    /** The likeliest token, without log-probabilities. */
    static final String GREEDY = "greedy";

    private static final int LIKELIEST = 10;

    /** Calls that one run times at most: enough for a median. */
    private static final int MOST_CALLS = 1000;

    /**
     * A head that is measured.
     *
     * @param codec how it is called in the result
     * @param rows of how many rows, from the first on, the head is
     * @param bytesRead what a query of the whole matrix has to read
     * @param part which part of these bytes the head has, 1 for all
     */
    record Contestant(String codec, SoftmaxHead head, int rows, long bytesRead, double part) {}

    final Contestant contestant;
    final int batch;
    final String query;
    private final Runnable call;
    private final double[] seconds = new double[MOST_CALLS];
    private double[] rounds = {};
    private double fastest = Double.POSITIVE_INFINITY;

    private SoftmaxCase(Contestant contestant, int batch, String query, Runnable call) {
        this.contestant = contestant;
        this.batch = batch;
        this.query = query;
        this.call = call;
    }

    /** @param hidden states, as many as the batch has */
    static SoftmaxCase top(Contestant contestant, int batch, float[] hidden) {
        return of(contestant, batch, TOP, Request.look().top(LIKELIEST).probabilities(Probabilities.MODEL), hidden);
    }

    /** @param hidden states, as many as the batch has */
    static SoftmaxCase greedy(Contestant contestant, int batch, float[] hidden) {
        return of(contestant, batch, GREEDY, Request.greedy(), hidden);
    }

    private static SoftmaxCase of(Contestant contestant, int batch, String query, Request request, float[] hidden) {
        States states = States.of(hidden);
        Request[] requests = new Request[batch];
        Arrays.fill(requests, request);
        Answers answers = Answers.of(batch);
        return new SoftmaxCase(contestant, batch, query, () -> contestant.head.answer(states, requests, answers));
    }

    /** Calls again and again for so long, at least once; returns the median of the calls in seconds. */
    double run(long nanos) {
        int calls = 0;
        long begun = System.nanoTime();
        long before = begun;
        do {
            call.run();
            long now = System.nanoTime();
            seconds[calls++] = (now - before) / 1e9;
            before = now;
        } while (before - begun < nanos && calls < MOST_CALLS);
        double median = median(seconds, calls);
        // sorted now
        fastest = Math.min(fastest, seconds[0]);
        return median;
    }

    /** The shortest call so far, in seconds: what a call may take when all is compiled. */
    double fastest() {
        return fastest;
    }

    /** Takes a median of {@link #run} as the result of one more round. */
    void count(double median) {
        rounds = Arrays.copyOf(rounds, rounds.length + 1);
        rounds[rounds.length - 1] = median;
    }

    /** The median of the counted rounds for the whole matrix, in seconds. */
    double latency() {
        return median(rounds.clone(), rounds.length) / contestant.part;
    }

    /** How far apart the middle half of the counted rounds lies, for the whole matrix, in seconds; the others may be accidents. */
    double spread() {
        double[] sorted = rounds.clone();
        Arrays.sort(sorted);
        return (sorted[3 * sorted.length / 4] - sorted[sorted.length / 4]) / contestant.part;
    }

    /** Sorts the first numbers and returns the middle one. */
    static double median(double[] values, int count) {
        Arrays.sort(values, 0, count);
        return values[count / 2];
    }
}
