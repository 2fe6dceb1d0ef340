package io.groupreduce.cli;

import io.groupreduce.error.OneLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** What every command understands, and where its output goes. */
final class CommonOptions {
    @Spec(Spec.Target.MIXEE)
    private CommandSpec command;

    @Option(names = "--json", description = "Print one JSON document instead of text.")
    boolean json;

    @Option(names = "--verbose", description = "Show the stack trace of an error.")
    boolean verbose;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help and exit.")
    boolean help;

    /** Prints a line of the result, unless a JSON document is the result. */
    void print(String line) {
        if (!json) {
            command.commandLine().getOut().println(OneLine.of(line));
        }
    }

    /** Prints the JSON document if one was asked for. */
    void printJson(Object document) {
        if (json) {
            command.commandLine().getOut().println(Json.of(document));
        }
    }

    /** Tells the user something beside the result. */
    void tell(String sentence) {
        command.commandLine().getErr().println("groupreduce: " + OneLine.of(sentence));
    }
}
