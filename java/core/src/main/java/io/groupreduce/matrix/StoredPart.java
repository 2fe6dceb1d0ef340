package io.groupreduce.matrix;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * How a part of a compressed matrix, the rows of a group or the right factor of a basis, is described in a file: {@code
 * what:profile/scales/block} as in {@code dense:4x200/bf16/32}. Left out are the basis where it is number 0, the scales where they are of
 * one byte, and the block where all numbers of a row share a scale: most groups are as short as {@code 6x2.0.10}.
 *
 * @param what the number of the basis, {@link #DENSE} or {@link #ZERO} of a group; the number of directions of a right factor
 * @param profile bits of the numbers of a row, see {@link BitProfile#text}
 * @param block numbers that share a scale: the width, or {@link CompressedMatrix#SCALE_BLOCK}
 * @param scales how scales are stored; without meaning for numbers without scales
 */
public record StoredPart(String what, BitProfile profile, int block, ScaleFormat scales) {
    public static final String DENSE = "dense";
    public static final String ZERO = "zero";

    /** The basis that is left out. */
    private static final String FIRST = "0";

    private static final Pattern TEXT =
            Pattern.compile("(?:([a-z0-9]+):)?([0-9x.]+)(?:/(bf16|f32))?(/" + CompressedMatrix.SCALE_BLOCK + ")?");

    /** The rows of a group. */
    public static StoredPart of(GroupPlan plan, int block, ScaleFormat scales) {
        String what = plan.isDense() ? DENSE : plan.isZero() ? ZERO : Integer.toString(plan.basis());
        return new StoredPart(what, plan.profile(), block, scales);
    }

    /** The right factor of a basis. */
    public static StoredPart of(EncodedMatrix right) {
        return new StoredPart(Long.toString(right.rows()), right.profile(), right.block(), right.scaleFormat());
    }

    /** The description: ASCII without a comma, quote or backslash. */
    public String text() {
        if (profile.width() == 0) {
            return what;
        }
        String scale = profile.scaled() && scales != ScaleFormat.LOG8 ? "/" + name(scales) : "";
        String shared = profile.scaled() && block < profile.width() ? "/" + block : "";
        return (what.equals(FIRST) ? "" : what + ":") + profile.text() + scale + shared;
    }

    /**
     * Reads a description.
     *
     * @param longest the most numbers a row may have
     * @throws IllegalArgumentException if it is none
     */
    public static StoredPart parse(String text, int longest) {
        if (text.equals(ZERO)) {
            return new StoredPart(ZERO, BitProfile.EMPTY, 0, ScaleFormat.LOG8);
        }
        Matcher matcher = TEXT.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("No part: " + text);
        }
        BitProfile profile = BitProfile.parse(matcher.group(2), longest);
        ScaleFormat scales = Stream.of(ScaleFormat.values())
                .filter(format -> name(format).equals(matcher.group(3)))
                .findFirst()
                .orElse(ScaleFormat.LOG8);
        int block = matcher.group(4) == null ? profile.width() : CompressedMatrix.SCALE_BLOCK;
        StoredPart part = new StoredPart(matcher.group(1) == null ? FIRST : matcher.group(1), profile, block, scales);
        if (!part.text().equals(text)) {
            throw new IllegalArgumentException("Not as it is written: " + text);
        }
        return part;
    }

    private static String name(ScaleFormat format) {
        return format.type().name().toLowerCase(Locale.ROOT);
    }
}
