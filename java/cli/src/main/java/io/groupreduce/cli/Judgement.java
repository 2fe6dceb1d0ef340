package io.groupreduce.cli;

import io.groupreduce.api.Evaluation;
import io.groupreduce.format.HiddenStates;

/**
 * What a compression cost the softmax it serves.
 *
 * @param tensor the output matrix
 * @param evaluation on {@code judged}
 * @param judged the hidden states it was judged on
 * @param known the hidden states that a method may be fitted to, maybe the same
 * @param fittedToHidden whether the compression was fitted to the states that judged it
 */
record Judgement(
        String tensor, Evaluation evaluation, HiddenStates judged, HiddenStates known, boolean fittedToHidden) {}
