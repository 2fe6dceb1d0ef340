package io.groupreduce.spi;

/**
 * One thing that is asked about one hidden state of a batch, and where its answer goes. A state may have several questions, or none. What
 * is asked does not change during a call; each answer is given once.
 *
 * <p>Tokens that are not {@link #open} do not exist for a question: they are not listed, summed up or drawn. At least one is open.
 */
public interface Question {
    /** The longest list that may be asked for; longer ones are made of all logits. */
    int LONGEST_LIST = 1024;

    /** The place of the hidden state in the batch. */
    int state();

    /**
     * Which tokens there are: bit {@code t % 64} of word {@code t / 64} for token t; {@code null} for all. Bits after the last token are 0 in its word;
     * words after that one mean nothing.
     */
    long[] open();

    /** How many tokens of largest logit are to be listed, best first, ties to the lower token: 0 to {@link #LONGEST_LIST}, no more than are open. */
    int listed();

    /** Where the tokens of the list go, from index 0 on. */
    int[] listTokens();

    /** Where the logits of the list go, from index 0 on. */
    float[] listLogits();

    /**
     * At which temperature T {@code sum exp(y / T)} is wanted, above 0; 0 if it is not wanted, which leaves more work out. At extreme temperatures only
     * the largest logit counts, or all count alike: 1 / T may be held within 1e-30 and 1e30.
     */
    double sumTemperature();

    /** The most that leaving work out may change the logarithm of the sum, in nats; 0 for nothing. */
    double tolerance();

    /**
     * The temperature of a draw from all open tokens, above 0; 0 if none is wanted: the token of largest {@code y / temperature + g}, ties to the
     * lower one, with g of {@link io.groupreduce.internal.select.GumbelNoise}.
     */
    double drawTemperature();

    /** The key of the draw's noise. */
    long key();

    /** Takes the sum as {@code sum exp((y - largest) / T)} and the largest logit; one of them NaN or infinite for a state without an answer. */
    void answerSum(float largest, double sum);

    /** Takes the token drawn and its logit; -1 and NaN for a state without an answer. */
    void answerDraw(int token, float logit);
}
