package io.groupreduce.benchmarks.gpu;

import io.groupreduce.error.InvalidOptionException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The command line of {@link GpuComparison}.
 *
 * @param sections what is measured, in the order of {@link #SECTIONS}
 * @param small small sizes and few repeats, to see that everything runs
 * @param python the interpreter that has PyTorch, or {@code null}
 * @param script what it runs
 * @param ordinal which card
 * @param begun when the whole run began, in seconds since 1970
 * @param limit how many seconds it may take
 */
record GpuArguments(
        Set<String> sections, boolean small, String python, String script, int ordinal, long begun, int limit) {
    /** The most important first. */
    static final List<String> SECTIONS =
            List.of("query", "kernels", "compress", "heads", "gram", "eigen", "torch", "more");

    static GpuArguments parse(String[] arguments) {
        Set<String> sections = new LinkedHashSet<>(SECTIONS);
        boolean small = false;
        String python = null;
        String script = null;
        int ordinal = 0;
        long begun = System.currentTimeMillis() / 1000;
        int limit = Integer.MAX_VALUE;
        for (int i = 0; i < arguments.length; i++) {
            switch (arguments[i]) {
                case "--small" -> small = true;
                case "--only" -> {
                    List<String> wanted =
                            List.of(value(arguments, ++i, "--only").split(","));
                    if (!SECTIONS.containsAll(wanted)) {
                        throw new InvalidOptionException(
                                "--only takes " + String.join(",", SECTIONS) + ", not '" + arguments[i] + "'.");
                    }
                    sections.retainAll(wanted);
                }
                case "--torch" -> {
                    python = value(arguments, ++i, "--torch");
                    script = value(arguments, ++i, "--torch");
                }
                case "--card" -> ordinal = (int) number(arguments, ++i, "--card");
                case "--begun" -> begun = number(arguments, ++i, "--begun");
                case "--limit" -> limit = (int) number(arguments, ++i, "--limit");
                default ->
                    throw new InvalidOptionException("The option '" + arguments[i]
                            + "' is unknown; use --small, --only SECTIONS, --card I, --limit SECONDS, --begun SECONDS,"
                            + " --torch PYTHON SCRIPT.");
            }
        }
        return new GpuArguments(sections, small, python, script, ordinal, begun, limit);
    }

    private static long number(String[] arguments, int at, String option) {
        String text = value(arguments, at, option);
        if (!text.matches("[0-9]{1,10}")) {
            throw new InvalidOptionException(option + " takes a whole number, not '" + text + "'.");
        }
        return Math.min(Long.parseLong(text), option.equals("--begun") ? Long.MAX_VALUE : Integer.MAX_VALUE);
    }

    private static String value(String[] arguments, int at, String option) {
        if (at >= arguments.length) {
            throw new InvalidOptionException(option + " needs a value.");
        }
        return arguments[at];
    }
}
