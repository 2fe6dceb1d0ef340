package io.groupreduce.benchmarks.gpu;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Markdown, each line written as soon as it is known, with the seconds since the whole run began; at its end what was to be reached. What
 * would not be ready within the limit does not start, and is named.
 */
final class Report {
    /** One line of the last table. */
    private record Goal(String what, String wanted, String reached, boolean met) {}

    private final PrintStream out;
    private final long begun;
    private final int limit;
    private final List<Goal> goals = new ArrayList<>();
    private final List<String> leftOut = new ArrayList<>();

    /**
     * Writes nothing yet.
     *
     * @param begun when the run began, in seconds since 1970
     * @param limit seconds that it may take
     */
    Report(PrintStream out, long begun, int limit) {
        this.out = out;
        this.begun = begun;
        this.limit = limit;
    }

    private long elapsed() {
        return System.currentTimeMillis() / 1000 - begun;
    }

    /**
     * Whether there is time for something; what there is none for is named at the end.
     *
     * @param seconds what it is guessed to take
     */
    boolean hasTime(String what, int seconds) {
        boolean enough = elapsed() + seconds <= limit;
        if (!enough) {
            leftOut.add(what);
        }
        return enough;
    }

    void line(String text) {
        out.println(text);
        out.flush();
    }

    void section(String title) {
        line("");
        line("## " + title);
    }

    void table(String... columns) {
        line("");
        line("| " + String.join(" | ", columns) + " | s after the start |");
        line("|" + "---|".repeat(columns.length + 1));
    }

    void row(Object... cells) {
        line("| " + Arrays.stream(cells).map(String::valueOf).collect(Collectors.joining(" | ")) + " | " + elapsed()
                + " |");
    }

    /** Something that at least so much was wanted of. */
    void atLeast(String what, double wanted, double reached) {
        goals.add(new Goal(what, "at least " + Times.digits(wanted), Times.digits(reached), reached >= wanted));
    }

    /** Something that at most so much was wanted of. */
    void atMost(String what, double wanted, double reached) {
        goals.add(new Goal(what, "at most " + Times.digits(wanted), Times.digits(reached), reached <= wanted));
    }

    /** The last table. */
    void end() {
        section("What was to be reached");
        table("what", "wanted", "measured", "met");
        for (Goal goal : goals) {
            row(goal.what, goal.wanted, goal.reached, goal.met ? "yes" : "no");
        }
        line("");
        line(
                leftOut.isEmpty()
                        ? "Nothing was left out."
                        : "Left out, for they would not have been ready within " + limit + " s: "
                                + String.join("; ", leftOut) + ".");
    }
}
