package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.spi.Question;
import java.util.Arrays;
import java.util.List;

/** A question of a test, and its answer: how often it was given, and what was written beyond its end. */
public final class PlainQuestion implements Question {
    /** What stands where nothing was answered. */
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

    /**
     * Asks nothing yet.
     *
     * @param open bits of tokens, {@code null} for all
     */
    public PlainQuestion(int state, long[] open) {
        this.state = state;
        this.open = open;
    }

    /** Asks for the tokens of largest logit. */
    public PlainQuestion list(int length) {
        listed = length;
        tokens = untouched(length);
        logits = untouchedLogits(length);
        return this;
    }

    /** Asks for the sum, which may be off by so many nats for work that is left out; at temperature 0 for none. */
    public PlainQuestion sum(double temperature, double nats) {
        sumTemperature = temperature;
        tolerance = nats;
        return this;
    }

    /** Asks for a draw; at temperature 0 for none. */
    public PlainQuestion draw(double temperature, long noise) {
        drawTemperature = temperature;
        key = noise;
        return this;
    }

    /** The same question, not answered yet. */
    public PlainQuestion again() {
        return again(state);
    }

    /** The same question about this state of a batch, not answered yet. */
    public PlainQuestion again(int ofState) {
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

    /** Every part of the answer. */
    List<Object> bits() {
        return List.of(tokens, logits, largest, sum, drawn, drawnLogit);
    }

    /** The answers are the same bits. */
    public void assertSameBits(PlainQuestion other, String what) {
        assertSameBitsButSum(other, what);
        assertEquals(largest, other.largest, what + ", largest logit, " + this);
        assertEquals(sum, other.sum, what + ", sum, " + this);
    }

    /** The answers are the same bits but for those of the sum, which may differ where other work was left out. */
    public void assertSameBitsButSum(PlainQuestion other, String what) {
        List<Object> expected = List.of(tokens, logits, drawn, drawnLogit);
        List<Object> actual = List.of(other.tokens, other.logits, other.drawn, other.drawnLogit);
        assertArrayEquals(expected.toArray(), actual.toArray(), what + ", " + this);
    }

    /** The largest logit that came with the sum. */
    public float largest() {
        return largest;
    }

    /** The sum that was answered. */
    public double sum() {
        return sum;
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
