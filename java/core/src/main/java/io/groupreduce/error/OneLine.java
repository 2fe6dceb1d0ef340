package io.groupreduce.error;

/**
 * Text that may come from a file, fit for a line of a message, a table or a log: nothing in it can end the line, move a
 * terminal's cursor or turn the direction of what follows.
 */
public final class OneLine {
    private static final int ZERO_WIDTH_NON_JOINER = 0x200c;
    private static final int ZERO_WIDTH_JOINER = 0x200d;

    private OneLine() {}

    /** The text with {@code \}{@code u001b} and the like in place of every control character and half of a surrogate pair. */
    public static String of(String text) {
        if (text.codePoints().noneMatch(OneLine::isUnfit)) {
            return text;
        }
        StringBuilder fit = new StringBuilder(text.length() + 16);
        text.codePoints().forEach(c -> {
            if (!isUnfit(c)) {
                fit.appendCodePoint(c);
                return;
            }
            for (char half : Character.toChars(c)) {
                fit.append(String.format("\\u%04x", (int) half));
            }
        });
        return fit.toString();
    }

    private static boolean isUnfit(int c) {
        return switch (Character.getType(c)) {
            case Character.CONTROL, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR, Character.SURROGATE ->
                true;
            // Scripts and emoji need the joiners; the others turn directions or are not seen.
            case Character.FORMAT -> c != ZERO_WIDTH_NON_JOINER && c != ZERO_WIDTH_JOINER;
            default -> false;
        };
    }
}
