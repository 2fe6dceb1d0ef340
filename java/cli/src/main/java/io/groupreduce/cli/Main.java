package io.groupreduce.cli;

import io.groupreduce.error.DeviceException;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.OneLine;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.MappedFiles;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.ParseResult;

/** The command line: parses, runs, and turns every failure into one sentence and an exit code. */
@Command(
        name = "groupreduce",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = "Shrinks the embedding and softmax matrices of language models.",
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {
            DemoCommand.class,
            CompressCommand.class,
            EvalCommand.class,
            InspectCommand.class,
            ExportCommand.class,
            CountCommand.class,
            CollectCommand.class,
            DevicesCommand.class,
            BenchCommand.class,
            CommandLine.HelpCommand.class
        })
public final class Main {
    /** The input or the data is wrong. */
    static final int WRONG_DATA = 1;

    /** The command line is wrong. */
    static final int WRONG_USAGE = 2;

    /** The device or the machine failed. */
    static final int FAILED_MACHINE = 3;

    private Main() {}

    public static void main(String[] arguments) {
        // Charts are drawn to files; without this a desktop-less server would look for a display.
        System.setProperty("java.awt.headless", "true");
        StandardOutput out = new StandardOutput(new FileOutputStream(FileDescriptor.out));
        PrintWriter err = new PrintWriter(System.err, true);
        int code = run(new PrintWriter(new OutputStreamWriter(out, System.out.charset()), true), err, arguments);
        System.exit(out.exitCode(code, err));
    }

    /** Runs one command with these streams and returns its exit code. */
    static int run(PrintWriter out, PrintWriter err, String... arguments) {
        CommandLine line = new CommandLine(new Main());
        line.setOut(out);
        line.setErr(err);
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.setParameterExceptionHandler((e, args) -> {
            String message = oneLine(e.getMessage());
            err.println("groupreduce: " + message + (message.endsWith(".") ? "" : ".") + " Try '"
                    + e.getCommandLine().getCommandSpec().qualifiedName() + " --help'.");
            return WRONG_USAGE;
        });
        line.setExecutionExceptionHandler((e, command, parsed) -> report(e, err, verbose(parsed)));
        int code;
        try {
            code = MappedFiles.reading(() -> line.execute(arguments));
        } catch (FileAccessException e) {
            code = report(e, err, List.of(arguments).contains("--verbose"));
        } catch (OutOfMemoryError e) {
            err.println("groupreduce: out of memory (" + oneLine(e.getMessage()) + "); give Java more with"
                    + " GROUPREDUCE_JAVA_OPTIONS=-Xmx8g, or ask for a smaller result.");
            code = FAILED_MACHINE;
        } catch (Error e) {
            err.println("groupreduce: the machine failed: " + oneLine(e.toString()) + ".");
            if (List.of(arguments).contains("--verbose")) {
                trace(e, err);
            }
            code = FAILED_MACHINE;
        }
        out.flush();
        err.flush();
        return code;
    }

    private static int report(Exception failure, PrintWriter err, boolean verbose) {
        if (failure instanceof GroupReduceException) {
            err.println("groupreduce: " + oneLine(failure.getMessage()));
        } else {
            err.println("groupreduce: internal error, please report it with the output of --verbose: "
                    + oneLine(failure.toString()));
        }
        if (verbose) {
            trace(failure, err);
        }
        if (failure instanceof InvalidOptionException) {
            return WRONG_USAGE;
        }
        return failure instanceof GroupReduceException && !(failure instanceof DeviceException)
                ? WRONG_DATA
                : FAILED_MACHINE;
    }

    private static boolean verbose(ParseResult parsed) {
        for (ParseResult at = parsed; at != null; at = at.subcommand()) {
            if (at.hasMatchedOption("--verbose")) {
                return true;
            }
        }
        return false;
    }

    /** Without line breaks, and without what else a name could do to a terminal. */
    private static String oneLine(String message) {
        return message == null ? "no message" : OneLine.of(message.replaceAll("\\s*\\R\\s*", " "));
    }

    /** The stack trace; messages of causes may hold what stands in a file. */
    private static void trace(Throwable failure, PrintWriter err) {
        StringWriter text = new StringWriter();
        failure.printStackTrace(new PrintWriter(text));
        text.toString()
                .lines()
                .map(line -> line.startsWith("\t") ? "\t" + OneLine.of(line.substring(1)) : OneLine.of(line))
                .forEach(err::println);
    }

    /** The version of the jar. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"groupreduce " + CompressedEntry.softwareVersion()};
        }
    }
}
