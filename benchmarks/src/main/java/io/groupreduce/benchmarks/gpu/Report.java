package io.groupreduce.benchmarks.gpu;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** Markdown as it is measured, and the table of what was to be reached at its end. */
final class Report {
    /** One line of the last table. */
    private record Goal(String what, String wanted, String reached, boolean met) {}

    private final PrintStream out;
    private final List<Goal> goals = new ArrayList<>();

    Report(PrintStream out) {
        this.out = out;
    }

    void line(String text) {
        out.println(text);
    }

    void section(String title) {
        out.println();
        out.println("## " + title);
    }

    void table(String... columns) {
        out.println();
        out.println("| " + String.join(" | ", columns) + " |");
        out.println("|" + "---|".repeat(columns.length));
    }

    void row(Object... cells) {
        out.println("| " + Arrays.stream(cells).map(String::valueOf).collect(Collectors.joining(" | ")) + " |");
        out.flush();
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
    void goals() {
        section("What was to be reached");
        table("what", "wanted", "measured", "met");
        for (Goal goal : goals) {
            row(goal.what, goal.wanted, goal.reached, goal.met ? "yes" : "no");
        }
    }
}
