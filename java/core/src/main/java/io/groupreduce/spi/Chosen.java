package io.groupreduce.spi;

/**
 * Tokens whose logits are wanted one by one, whatever else is asked: those of state s are {@code tokens[from[s] .. from[s + 1])}, in any
 * order.
 *
 * @param from one more than there are states, not falling; may be longer
 * @param tokens may be longer
 * @param logits receives the logit of every token, in its place
 */
public record Chosen(int[] from, int[] tokens, float[] logits) {}
