package io.groupreduce.matrix;

import java.util.List;

/**
 * The most that a compressed matrix takes of the header of its file, so that a size can be aimed at before there is a file: entries of
 * three or four tensors, the document that describes the matrix, and what a file says once. Numbers in the header are taken to be as long
 * as they can be, which is some 250 bytes more than most files need. What is said of a largest loss increase is left out, since no size is
 * aimed at then.
 */
public final class HeaderShare {
    /** All but names, descriptions of parts, and a bias. */
    private static final int FIXED = 1024;

    /** The entry of a bias, and that there is one. */
    private static final int BIAS = 110;

    /** How often a tensor's name is there without a bias. */
    private static final int NAMES = 4;

    /** An escape of a control character, in a document that is itself text in the header. */
    private static final int LONGEST_ESCAPE = 7;

    private HeaderShare() {}

    /** Bytes of the header for a matrix, at most. */
    static long most(CompressedMatrix matrix) {
        return fixed(matrix.name())
                + (matrix.bias() == null ? 0 : bias(matrix.name()))
                + parts(matrix.describedGroups())
                + parts(matrix.describedBases());
    }

    private static long parts(List<StoredPart> parts) {
        return parts.stream().mapToLong(HeaderShare::part).sum();
    }

    /** Bytes for a tensor of this name, whatever its groups are. */
    public static long fixed(String name) {
        return FIXED + NAMES * length(name);
    }

    /** Bytes for the description of a group or a right factor. */
    public static long part(StoredPart part) {
        return part.text().length() + 1L;
    }

    /** Bytes that a bias of the matrix takes beside its numbers. */
    public static long bias(String name) {
        return BIAS + length(name);
    }

    /** Bytes of a name in JSON: UTF-8, but for what is escaped. */
    private static long length(String name) {
        return name.chars()
                .mapToLong(c -> c < ' ' || c == '"' || c == '\\' ? LONGEST_ESCAPE : c < 0x80 ? 1 : c < 0x800 ? 2 : 3)
                .sum();
    }
}
