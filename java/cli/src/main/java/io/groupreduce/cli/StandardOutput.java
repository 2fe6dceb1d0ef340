package io.groupreduce.cli;

import io.groupreduce.error.OneLine;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;

/** The stream of results, which remembers what a {@link PrintWriter} would swallow: a full disk, a reader that is gone. */
final class StandardOutput extends FilterOutputStream {
    /** What a shell shows of a program that a closed pipe ended: 128 and the number of the signal. */
    static final int BROKEN_PIPE = 141;

    private IOException failure;

    StandardOutput(OutputStream out) {
        super(out);
    }

    @Override
    public void write(int b) {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int count) {
        if (failure == null) {
            try {
                out.write(bytes, from, count);
            } catch (IOException e) {
                failure = e;
            }
        }
    }

    @Override
    public void flush() {
        if (failure == null) {
            try {
                out.flush();
            } catch (IOException e) {
                failure = e;
            }
        }
    }

    /** The exit code of a program that ends with {@code code}, unless its result was lost; {@code err} hears why. */
    int exitCode(int code, PrintWriter err) {
        if (failure == null || code != 0) {
            return code;
        }
        String reason = String.valueOf(failure.getMessage());
        if (reason.contains("Broken pipe")) {
            return BROKEN_PIPE;
        }
        err.println("groupreduce: the result is lost, standard output cannot be written (" + OneLine.of(reason)
                + "); free some space, or send it elsewhere.");
        err.flush();
        return Main.FAILED_MACHINE;
    }
}
