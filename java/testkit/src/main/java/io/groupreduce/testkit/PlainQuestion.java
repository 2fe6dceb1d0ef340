package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.spi.Question;
import java.util.Arrays;
import java.util.List;

/** A question of a test, and its answer: how often it was given, and what was written beyond its end. */
final class PlainQuestion implements Question {
    static final float UNTOUCHED = -77;

    private static final int AFTER = 3;

    private final int state;
    private final long[] open;
    private int listed;
    private double sumTemperature;
    private double tolerance;
    private double drawTemperature;
    private long key;

    int[] tokens = untouched(0);
    float[] logits = untouchedLogits(0);
    float largest = UNTOUCHED;
    double sum = UNTOUCHED;
    int drawn = (int) UNTOUCHED;
    float drawnLogit = UNTOUCHED;
    private int sums;
    private int draws;

    /** Asks nothing yet. */
    PlainQuestion(int state, long[] open) {
        this.state = state;
        this.open = open;
    }

    PlainQuestion list(int length) {
        listed = length;
        tokens = untouched(length);
        logits = untouchedLogits(length);
        return this;
    }

    PlainQuestion sum(double temperature, double nats) {
        sumTemperature = temperature;
        tolerance = nats;
        return this;
    }

    PlainQuestion draw(double temperature, long noise) {
        drawTemperature = temperature;
        key = noise;
        return this;
    }

    /** The same question about this state of a batch, not answered yet. */
    PlainQuestion again(int ofState) {
        return new PlainQuestion(ofState, open)
                .list(listed)
                .sum(sumTemperature, tolerance)
                .draw(drawTemperature, key);
    }

    private static int[] untouched(int length) {
        int[] made = new int[length + AFTER];
        Arrays.fill(made, (int) UNTOUCHED);
        return made;
    }

    private static float[] untouchedLogits(int length) {
        float[] made = new float[length + AFTER];
        Arrays.fill(made, UNTOUCHED);
        return made;
    }

    boolean asks() {
        return listed > 0 || sumTemperature > 0 || drawTemperature > 0;
    }

    boolean isOpen(int token) {
        return open == null || (open[token >> 6] >>> token & 1) != 0;
    }

    /** What was asked was answered once, everything else not at all. */
    void assertAnsweredOnce(boolean asked, String what) {
        int places = asked ? listed : 0;
        for (int i = places; i < tokens.length; i++) {
            assertEquals((int) UNTOUCHED, tokens[i], what + ": token at place " + i + " of " + places);
            assertEquals(UNTOUCHED, logits[i], what + ": logit at place " + i + " of " + places);
        }
        assertEquals(asked && sumTemperature > 0 ? 1 : 0, sums, what + ": how often the sum was given");
        assertEquals(asked && drawTemperature > 0 ? 1 : 0, draws, what + ": how often the draw was given");
    }

    /** Everything but the sum, whose bits may differ where other work was left out. */
    List<Object> bits() {
        return List.of(tokens, logits, drawn, drawnLogit);
    }

    @Override
    public int state() {
        return state;
    }

    @Override
    public long[] open() {
        return open;
    }

    @Override
    public int listed() {
        return listed;
    }

    @Override
    public int[] listTokens() {
        return tokens;
    }

    @Override
    public float[] listLogits() {
        return logits;
    }

    @Override
    public double sumTemperature() {
        return sumTemperature;
    }

    @Override
    public double tolerance() {
        return tolerance;
    }

    @Override
    public double drawTemperature() {
        return drawTemperature;
    }

    @Override
    public long key() {
        return key;
    }

    @Override
    public void answerSum(float largestLogit, double relativeSum) {
        largest = largestLogit;
        sum = relativeSum;
        sums++;
    }

    @Override
    public void answerDraw(int token, float logit) {
        drawn = token;
        drawnLogit = logit;
        draws++;
    }

    @Override
    public String toString() {
        String tokensOpen = open == null
                ? "all tokens"
                : Arrays.stream(open).map(Long::bitCount).sum() + " bits";
        return "state " + state + ", open to " + tokensOpen + ", list of " + listed + ", sum at " + sumTemperature
                + " within " + tolerance + ", draw at " + drawTemperature + " with " + key;
    }
}
