package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.OneLine;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** How names, paths and causes are put into messages: on one line and short, whatever a file contains. */
public final class Wording {
    private static final int LONGEST = 120;
    private static final int MOST_CANDIDATES = 8;
    public static final int MOST_LISTED = 4;

    private Wording() {}

    /** A path as it was given, without control characters. */
    public static String file(Path path) {
        return plain(path.toString(), 4096);
    }

    /** A tensor or file name in quotes; long ones are cut. */
    public static String quoted(String text) {
        return '"' + plain(text, LONGEST) + '"';
    }

    /** The first few names of a list, in quotes. */
    public static String some(List<String> names) {
        String listed = names.stream().limit(MOST_LISTED).map(Wording::quoted).collect(Collectors.joining(", "));
        return listed + (names.size() > MOST_LISTED ? " and more" : "");
    }

    /** A shape as in {@code [3, 4]}; long ones are cut. */
    public static String shape(long[] shape) {
        return Arrays.stream(shape)
                .limit(MOST_CANDIDATES)
                .mapToObj(Long::toString)
                .collect(Collectors.joining(", ", "[", shape.length > MOST_CANDIDATES ? ", ...]" : "]"));
    }

    /** @throws InvalidDataException if a file has no tensor or the like of that name; the message lists names like it */
    public static <T> T require(Path file, String kind, String name, Map<String, T> named) {
        T found = named.get(name);
        if (found == null) {
            throw new InvalidDataException(file(file) + " has no " + kind + " " + quoted(name) + "; it has "
                    + candidates(name, named.keySet()) + ".");
        }
        return found;
    }

    /** Names that resemble the wanted one most, to put after "it has". */
    public static String candidates(String wanted, Collection<String> names) {
        if (names.isEmpty()) {
            return "no tensor at all";
        }
        String nearest = names.stream()
                .sorted(Comparator.comparingInt((String name) -> -resemblance(wanted, name)))
                .limit(MOST_CANDIDATES)
                .map(Wording::quoted)
                .collect(Collectors.joining(", "));
        int more = names.size() - MOST_CANDIDATES;
        return nearest + (more > 0 ? " and " + more + " more" : "");
    }

    private static int resemblance(String a, String b) {
        int shorter = Math.min(a.length(), b.length());
        int prefix = 0;
        while (prefix < shorter && a.charAt(prefix) == b.charAt(prefix)) {
            prefix++;
        }
        int suffix = 0;
        while (suffix < shorter - prefix && a.charAt(a.length() - 1 - suffix) == b.charAt(b.length() - 1 - suffix)) {
            suffix++;
        }
        return prefix + suffix;
    }

    public static FileAccessException cannotRead(Path file, IOException cause) {
        if (cause instanceof NoSuchFileException) {
            return new FileAccessException(file(file) + " does not exist; check the path.", cause);
        }
        return new FileAccessException(file(file) + " cannot be read: " + reason(cause) + ".", cause);
    }

    /** {@code bytes} is the size of the whole output, 0 when it is not known. */
    public static FileAccessException cannotWrite(Path target, long bytes, IOException cause) {
        if (isDiskFull(cause)) {
            String needed = bytes > 0 ? "; " + bytes + " bytes are needed." : "; free some space.";
            return new FileAccessException(file(target) + " was not written: the disk is full" + needed, cause);
        }
        if (cause instanceof NoSuchFileException) {
            return new FileAccessException(
                    file(target) + " was not written: its directory does not exist; create it first.", cause);
        }
        return new FileAccessException(file(target) + " was not written: " + reason(cause) + ".", cause);
    }

    private static boolean isDiskFull(IOException cause) {
        String message = String.valueOf(cause.getMessage()).toLowerCase(Locale.ROOT);
        return message.contains("no space left on device")
                || message.contains("not enough space on the disk")
                || message.contains("quota exceeded");
    }

    private static String reason(IOException cause) {
        if (cause instanceof AccessDeniedException) {
            return "permission denied";
        }
        if (cause instanceof ClosedByInterruptException) {
            return "the thread was interrupted";
        }
        String reason = cause instanceof FileSystemException system ? system.getReason() : cause.getMessage();
        return reason == null ? cause.getClass().getSimpleName() : line(reason);
    }

    /** A text of a file on one line; what is longer than a sentence is cut. */
    public static String line(String text) {
        return plain(text, 1024);
    }

    private static String plain(String text, int longest) {
        String shown = text.length() > longest ? text.substring(0, longest) + "..." : text;
        return OneLine.of(shown);
    }
}
