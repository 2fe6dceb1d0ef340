package io.groupreduce.benchmarks.head;

/** A head that also gives probabilities. */
interface ScoringHead extends Head {
    /** The likeliest tokens with logits and log-probabilities. */
    void topWithLogProbabilities(Batch batch, int turn);

    /** The log-probabilities of the batch's targets: what a perplexity needs. */
    void score(Batch batch, int turn);
}
