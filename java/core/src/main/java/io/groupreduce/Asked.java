package io.groupreduce;

import io.groupreduce.spi.Question;

/** A question that is used again and again, and its answer. */
final class Asked implements Question {
    private int state;
    private long[] open;
    private int listed;
    private int[] tokens = {};
    private float[] logits = {};
    private double sumTemperature;
    private double tolerance;
    private double drawTemperature;
    private long key;
    private float largest;
    private double sum;
    private int drawn;
    private float drawnLogit;

    /** Asks nothing. */
    void clear(int ofState) {
        state = ofState;
        open = null;
        listed = 0;
        sumTemperature = 0;
        drawTemperature = 0;
        largest = Float.NEGATIVE_INFINITY;
        sum = 0;
        drawn = -1;
    }

    /** Asks about these tokens only. */
    void openTo(long[] tokenBits) {
        open = tokenBits;
    }

    /** Asks for a list of this length at least, or the longest that can be asked for. */
    void list(int length) {
        listed = Math.max(listed, Math.min(length, LONGEST_LIST));
        if (tokens.length < listed) {
            tokens = new int[listed];
            logits = new float[listed];
        }
    }

    /** Asks for a sum. */
    void sum(double temperature, double nats) {
        tolerance = sumTemperature > 0 ? Math.min(tolerance, nats) : nats;
        sumTemperature = temperature;
    }

    /** Asks for a draw. */
    void draw(double temperature, long noiseKey) {
        drawTemperature = temperature;
        key = noiseKey;
    }

    /** Whether anything is asked. */
    boolean any() {
        return listed > 0 || sumTemperature > 0 || drawTemperature > 0;
    }

    /** Whether everything that was asked has an answer in numbers. */
    boolean answered() {
        return (listed == 0 || tokens[0] >= 0 && Float.isFinite(logits[0]))
                && (sumTemperature == 0 || Float.isFinite(largest) && Double.isFinite(sum))
                && (drawTemperature == 0 || drawn >= 0 && Float.isFinite(drawnLogit));
    }

    float largest() {
        return largest;
    }

    double sum() {
        return sum;
    }

    int drawn() {
        return drawn;
    }

    float drawnLogit() {
        return drawnLogit;
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
    }

    @Override
    public void answerDraw(int token, float logit) {
        drawn = token;
        drawnLogit = logit;
    }
}
