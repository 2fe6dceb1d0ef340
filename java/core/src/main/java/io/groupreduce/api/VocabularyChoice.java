package io.groupreduce.api;

/**
 * What a user says of a model's vocabulary matrices, in place of what their names and {@code config.json} tell. {@code null} where
 * nothing is said.
 *
 * @param output the tensor that turns hidden states into logits
 * @param input the tensor that turns tokens into vectors; may be the same
 * @param bias the tensor that is added to the logits
 */
public record VocabularyChoice(String output, String input, String bias) {
    /** Names and {@code config.json} decide. */
    public static final VocabularyChoice NONE = new VocabularyChoice(null, null, null);
}
