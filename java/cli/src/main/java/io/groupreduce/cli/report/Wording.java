package io.groupreduce.cli.report;

/** Sentences that more than one part of the report says. */
final class Wording {
    static final String NO_TARGETS = "There is no perplexity because the hidden states came without targets.";
    static final String NOT_EVALUATED =
            "The softmax was not compared with the dense one; that needs hidden states of the model (--hidden).";
    static final String FITTED =
            "Perplexity, KL and agreement are measured on the hidden states that the compression was fitted to; judge it"
                    + " with 'groupreduce eval' on others.";

    private Wording() {}
}
