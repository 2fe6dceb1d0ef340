package io.groupreduce;

/** Of which distribution a {@link Request} wants log-probabilities. */
public enum Probabilities {
    /** None, which leaves work out: only logits are known. */
    NONE,
    /** The model's own: of its logits at temperature 1, whatever the request changes of them. */
    MODEL,
    /**
     * The one that is drawn from: with bias, penalties and temperature, over allowed tokens only; before top-k, top-p and min-p. Without a draw
     * the temperature is that of {@link Request#temperature}.
     */
    DRAWN
}
