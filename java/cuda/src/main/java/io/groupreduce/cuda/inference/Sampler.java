package io.groupreduce.cuda.inference;

import io.groupreduce.api.Sampling;
import io.groupreduce.cuda.inference.CudaHeadPass.Question;
import io.groupreduce.internal.select.Drawing;
import io.groupreduce.internal.select.FullRanking;
import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.internal.select.Ranking;

/**
 * Draws a token for each of some hidden states. Where all tokens stay, or min-p alone cuts, the card draws while it goes through the logits;
 * otherwise the likeliest tokens are listed and the draw is made here, as the reference makes it.
 */
final class Sampler {
    /** A double that a logit over the temperature does not exceed keeps nine digits of the noise that is added. */
    private static final double LARGE = 0x1p24;

    /** Logits over a temperature below this are {@link #LARGE} as a rule. */
    private static final double LOW_TEMPERATURE = 1e-4;

    private final CudaHeadPass pass;
    private final int vocabulary;
    private final int columns;
    private final FullRanking full;
    private final Ranking list = new Ranking();
    private int[] open = new int[0];

    /**
     * Samples with what answers other questions too, on the same thread.
     *
     * @param full ranks where lists do not do
     */
    Sampler(CudaHeadPass pass, HeadLayout layout, FullRanking full) {
        this.pass = pass;
        this.full = full;
        vocabulary = layout.rows();
        columns = layout.columns();
    }

    /** Draws; -1 for a state whose numbers are beyond binary32. */
    void sample(float[] hidden, int states, Sampling sampling, long seed, int[] tokens) {
        if (sampling.topK() == 0 && sampling.topP() == 1) {
            drawOnDevice(hidden, states, sampling, seed, tokens);
        } else {
            drawFromLists(hidden, states, sampling, seed, tokens);
        }
    }

    private void drawOnDevice(float[] hidden, int states, Sampling sampling, long seed, int[] tokens) {
        // At a temperature near 0 only differences from the largest logit may be divided by it.
        double scale = Math.min(1 / sampling.temperature(), Double.MAX_VALUE);
        boolean floored = sampling.minP() > 0;
        boolean shifted = floored || sampling.temperature() < LOW_TEMPERATURE;
        Question draw = Question.draw(scale, shifted, floored);
        int count;
        for (int first = 0; first < states; first += count) {
            count = pass.take(draw, hidden, first, states);
            for (int s = 0; s < count; s++) {
                pass.putNoise(s, GumbelNoise.key(seed, first + s));
            }
            pass.ask(shifted ? Question.top(0, 1) : draw);
            if (shifted || tooLarge(count, scale)) {
                for (int s = 0; s < count; s++) {
                    pass.putShift(s, pass.bestLogit(s));
                    pass.putFloor(s, floor(pass.bestLogit(s), sampling));
                }
                pass.ask(Question.draw(scale, true, floored));
            }
            for (int s = 0; s < count; s++) {
                tokens[first + s] = pass.drawn(s);
            }
        }
    }

    /** Whether the noise was lost in some state's logits, which are large though the temperature is not low. */
    private boolean tooLarge(int count, double scale) {
        for (int s = 0; s < count; s++) {
            if (!pass.broken(s) && Math.abs(pass.bestLogit(s)) * scale > LARGE) {
                return true;
            }
        }
        return false;
    }

    /** The least binary32 logit that min-p leaves. */
    private static float floor(float largest, Sampling sampling) {
        double exact = largest + sampling.temperature() * Math.log(sampling.minP());
        float rounded = (float) exact;
        return rounded < exact ? Math.nextUp(rounded) : rounded;
    }

    private void drawFromLists(float[] hidden, int states, Sampling sampling, long seed, int[] tokens) {
        if (open.length < states) {
            open = new int[states];
        }
        for (int s = 0; s < states; s++) {
            open[s] = s;
        }
        int left = states;
        int most = sampling.topK() > 0 ? sampling.topK() : vocabulary;
        int k = Math.min(most, sampling.topK() > 0 ? sampling.topK() : Drawing.FIRST_LIST);
        while (left > 0 && k <= Question.MOST_LISTED) {
            left = drawListed(hidden, left, k, sampling, seed, tokens);
            k = k < Question.MOST_LISTED ? Math.min(most, Question.MOST_LISTED) : Integer.MAX_VALUE;
        }
        if (left > 0) {
            drawRanked(hidden, left, most, sampling, seed, tokens);
        }
    }

    /** Draws for the open states from their k likeliest tokens; those for which that does not do stay open. */
    private int drawListed(float[] hidden, int count, int k, Sampling sampling, long seed, int[] tokens) {
        long missing = sampling.topK() > 0 ? 0 : vocabulary - k;
        boolean summed = missing > 0 && sampling.temperature() >= LOW_TEMPERATURE;
        float scale = summed ? (float) (1 / sampling.temperature()) : 1;
        Question top = Question.top(k, scale);
        int left = 0;
        int taken;
        for (int first = 0; first < count; first += taken) {
            taken = begin(top, hidden, first, count - first);
            pass.ask(top);
            for (int i = 0; i < taken; i++) {
                int state = open[first + i];
                tokens[state] = Drawing.NONE;
                if (!pass.broken(i)) {
                    list.reserve(1, k);
                    pass.list(i, list.tokens(), list.logits(), 0);
                    double total = summed ? sum(i, scale) : Double.NaN;
                    tokens[state] = Drawing.draw(list, 0, missing, total, sampling, GumbelNoise.key(seed, state));
                    if (tokens[state] == Drawing.NONE) {
                        open[left++] = state;
                    }
                }
            }
        }
        return left;
    }

    /** The sum of exp(scaled logit - largest), from its logarithm; NaN where that has lost it. */
    private double sum(int state, float scale) {
        float largest = pass.bestLogit(state) * scale;
        return Math.abs(largest) < LARGE ? Math.exp(pass.logSumExp(state) - largest) : Double.NaN;
    }

    /** Draws for the open states from all that top-k leaves, ranked here. */
    private void drawRanked(float[] hidden, int count, int most, Sampling sampling, long seed, int[] tokens) {
        Question all = Question.logits();
        int taken;
        for (int first = 0; first < count; first += taken) {
            taken = begin(all, hidden, first, count - first);
            pass.ask(all);
            for (int i = 0; i < taken; i++) {
                int state = open[first + i];
                tokens[state] = Drawing.NONE;
                if (!pass.broken(i)) {
                    pass.everyLogit(i, full.target());
                    tokens[state] = Drawing.draw(full.best(most), 0, 0, 0, sampling, GumbelNoise.key(seed, state));
                }
            }
        }
    }

    private int begin(Question question, float[] hidden, int first, int count) {
        int taken = pass.begin(question, count);
        for (int i = 0; i < taken; i++) {
            pass.put(i, hidden, open[first + i] * columns);
        }
        return taken;
    }
}
