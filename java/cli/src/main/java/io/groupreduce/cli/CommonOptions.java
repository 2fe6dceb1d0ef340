package io.groupreduce.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
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
            command.commandLine().getOut().println(line);
        }
    }

    /** Prints the JSON document if one was asked for. */
    void printJson(Object document) {
        if (json) {
            command.commandLine().getOut().println(toJson(document));
        }
    }

    /** Tells the user something beside the result. */
    void tell(String sentence) {
        command.commandLine().getErr().println("groupreduce: " + sentence);
    }

    private static String toJson(Object document) {
        try {
            return new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(document);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a result cannot be written as JSON", e);
        }
    }
}
