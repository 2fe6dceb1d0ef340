package io.groupreduce.format;

import java.util.Locale;

/**
 * A tensor that is, or seems to be, a vocabulary matrix of a model.
 *
 * @param tensor the tensor
 * @param role what it does; {@code null} if nothing tells that
 * @param taken whether it can be compressed, and is unless other tensors are named
 * @param servesAsOutput whether hidden states meet it
 * @param tiedTo the matrix that it repeats byte for byte and that is stored in its place; {@code null} if there is none
 * @param isWorthAWord whether a user should hear of it: it is not taken, or is of a kind that one may not expect
 * @param why of one that is taken, what told its role; of another, what keeps it from being compressed: words to go after "it"
 */
public record VocabularyMatrix(
        Tensor tensor,
        Model.Role role,
        boolean taken,
        boolean servesAsOutput,
        String tiedTo,
        boolean isWorthAWord,
        String why) {
    /** Name and {@code why}, to end a sentence. */
    public String reason() {
        return Wording.quoted(tensor.name()) + " " + why + ".";
    }

    /** What happens to it and {@code why}, on one line. */
    public String sentence() {
        return Wording.quoted(tensor.name())
                + (taken ? " is compressed as an " + role.name().toLowerCase(Locale.ROOT) : " is not compressed")
                + ": it " + why + ".";
    }
}
