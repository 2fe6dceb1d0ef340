package io.groupreduce.benchmarks.gpu;

import io.groupreduce.error.InvalidOptionException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The command line of {@link GpuComparison}.
 *
 * @param sections what is measured, in the order of {@link #SECTIONS}
 * @param quick small sizes and few repeats
 * @param python the interpreter that has PyTorch, or {@code null}
 * @param script what it runs
 * @param ordinal which card
 */
record GpuArguments(Set<String> sections, boolean quick, String python, String script, int ordinal) {
    static final List<String> SECTIONS = List.of("copy", "kernels", "heads", "gram", "eigen", "compress");

    static GpuArguments parse(String[] arguments) {
        Set<String> sections = new LinkedHashSet<>(SECTIONS);
        boolean quick = false;
        String python = null;
        String script = null;
        int ordinal = 0;
        for (int i = 0; i < arguments.length; i++) {
            switch (arguments[i]) {
                case "--quick" -> quick = true;
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
                case "--card" -> ordinal = Integer.parseInt(value(arguments, ++i, "--card"));
                default ->
                    throw new InvalidOptionException("The option '" + arguments[i]
                            + "' is unknown; use --quick, --only SECTIONS, --card I, --torch PYTHON SCRIPT.");
            }
        }
        return new GpuArguments(sections, quick, python, script, ordinal);
    }

    private static String value(String[] arguments, int at, String option) {
        if (at >= arguments.length) {
            throw new InvalidOptionException(option + " needs a value.");
        }
        return arguments[at];
    }
}
