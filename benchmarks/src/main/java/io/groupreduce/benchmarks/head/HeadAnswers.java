package io.groupreduce.benchmarks.head;

/** Room for what a head finds for up to {@link #STATES} hidden states; of state s at s, or at {@code s * TOP} onward. */
final class HeadAnswers {
    static final int STATES = 256;

    final int[] tokens = new int[STATES * Head.TOP];
    final float[] logits = new float[STATES * Head.TOP];
    final float[] logProbabilities = new float[STATES * Head.TOP];
    final float[] targetLogProbabilities = new float[STATES];

    /** The share of this one's tokens that are among {@code other}'s for the same state, over the first states. */
    double shared(HeadAnswers other, int states) {
        int found = 0;
        for (int s = 0; s < states; s++) {
            for (int i = s * Head.TOP; i < (s + 1) * Head.TOP; i++) {
                for (int j = s * Head.TOP; j < (s + 1) * Head.TOP; j++) {
                    found += tokens[i] == other.tokens[j] ? 1 : 0;
                }
            }
        }
        return found / ((double) states * Head.TOP);
    }
}
