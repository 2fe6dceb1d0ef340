package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.spi.Question;

/** A question and its answer. */
final class TestQuestion implements Question {
    private final int state;
    private long[] open;
    private double sumTemperature;
    private double drawTemperature;
    private long key;
    int[] tokens = {};
    float[] logits = {};
    float largest;
    double sum;
    int drawn;
    float drawnLogit;

    TestQuestion(int state) {
        this.state = state;
    }

    /** The same question, not yet answered. */
    TestQuestion again() {
        return new TestQuestion(state)
                .among(open)
                .list(tokens.length)
                .sumAt(sumTemperature)
                .drawAt(drawTemperature, key);
    }

    TestQuestion among(long[] set) {
        open = set;
        return this;
    }

    TestQuestion list(int k) {
        tokens = new int[k];
        logits = new float[k];
        return this;
    }

    TestQuestion sumAt(double temperature) {
        sumTemperature = temperature;
        return this;
    }

    TestQuestion drawAt(double temperature, long noise) {
        drawTemperature = temperature;
        key = noise;
        return this;
    }

    /** The answers are the same bits. */
    void assertSame(TestQuestion other, String what) {
        assertArrayEquals(tokens, other.tokens, what);
        assertArrayEquals(logits, other.logits, what);
        assertEquals(largest, other.largest, what);
        assertEquals(sum, other.sum, what);
        assertEquals(drawn, other.drawn, what);
        assertEquals(drawnLogit, other.drawnLogit, what);
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
        return tokens.length;
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
        return 0;
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
    }

    @Override
    public void answerDraw(int token, float logit) {
        drawn = token;
        drawnLogit = logit;
    }

    @Override
    public String toString() {
        return "state " + state + ", top " + tokens.length + ", sum at " + sumTemperature + ", draw at "
                + drawTemperature + " with " + key + (open == null ? "" : ", masked");
    }
}
