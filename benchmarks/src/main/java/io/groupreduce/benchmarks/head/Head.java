package io.groupreduce.benchmarks.head;

/** A way to answer a batch of hidden states with their likeliest tokens. One thread at a time. */
interface Head extends AutoCloseable {
    /** How many tokens are asked for. */
    int TOP = 10;

    /** What tables call it. */
    String name();

    /** Bytes of weights that a batch has to read once, as they are stored. */
    long bytes();

    /** The {@link #TOP} tokens of largest logit, best first, with their logits. */
    void top(Batch batch, int turn);

    /** What the last call found. */
    HeadAnswers answers();

    @Override
    void close();
}
