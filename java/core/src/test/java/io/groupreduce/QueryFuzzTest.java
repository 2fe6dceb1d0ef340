package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.RankedTokens;
import io.groupreduce.api.Sampling;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Queries with numbers, sizes and options of every kind: an answer is one that could be true, or there is none. */
class QueryFuzzTest {
    private static final int CASES = 2000;
    private static final int ROWS = HeadFixture.ROWS;
    private static final int COLUMNS = HeadFixture.COLUMNS;

    private final CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1);

    private static float[] hidden(Random random) {
        int states = random.nextInt(10) == 0 ? random.nextInt(3) : 1 + random.nextInt(3);
        float[] hidden = new float[states * COLUMNS + (random.nextInt(12) == 0 ? 1 : 0)];
        float scale = Fuzz.one(random, 1f, 1f, 1f, 0f, 1e-40f, 1e19f, 1e38f);
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = scale * (float) random.nextGaussian();
        }
        if (hidden.length > 0 && random.nextInt(6) == 0) {
            hidden[random.nextInt(hidden.length)] = Fuzz.one(random, Float.NaN, Float.NEGATIVE_INFINITY, 3e38f, -0f);
        }
        return hidden;
    }

    private static int[] tokens(Random random, int states) {
        int[] tokens = new int[random.nextInt(8) == 0 ? random.nextInt(5) : states];
        for (int i = 0; i < tokens.length; i++) {
            tokens[i] = random.nextInt(10) == 0 ? Fuzz.one(random, -1, ROWS, Integer.MAX_VALUE) : random.nextInt(ROWS);
        }
        return tokens;
    }

    private static double number(Random random) {
        return Fuzz.one(random, 0.5, 0.9, 1.0, 0.0, -1.0, 2.0, 1e-300, 1e300, Double.NaN, Double.POSITIVE_INFINITY);
    }

    private static void requireTokens(int[] tokens) {
        for (int token : tokens) {
            assertTrue(token >= 0 && token < ROWS, "token " + token);
        }
    }

    private static void requireFinite(float[] numbers) {
        for (float number : numbers) {
            assertTrue(Float.isFinite(number), "number " + number);
        }
    }

    @Test
    void heads() {
        try (SoftmaxHead head =
                SoftmaxHead.of(new ReferenceBackend(), matrix, HeadFixture.bias(), HeadOptions.defaults())) {
            Fuzz.run(CASES, random -> {
                float[] hidden = hidden(random);
                int states = hidden.length / COLUMNS;
                int k = Fuzz.one(random, 1, 5, ROWS, 0, -1, ROWS + 1, Integer.MAX_VALUE, Integer.MIN_VALUE);
                switch (random.nextInt(8)) {
                    case 0 -> requireTokens(head.greedy(hidden));
                    case 1 -> requireTokens(head.greedy(MemorySegment.ofArray(hidden)));
                    case 2 -> requireRanked(head.topK(hidden, k));
                    case 3 -> requireRanked(head.topLogits(hidden, k));
                    case 4 -> requireFinite(head.logProbabilities(hidden, tokens(random, states)));
                    case 5 -> {
                        Sampling sampling = new Sampling(number(random), k, number(random), number(random));
                        requireTokens(head.sample(hidden, sampling, random.nextLong()));
                    }
                    case 6 -> {
                        double[] target = new double[random.nextInt(6)];
                        head.logSumExp(hidden, target);
                        for (int s = 0; s < states; s++) {
                            assertTrue(Double.isFinite(target[s]));
                        }
                    }
                    default -> {
                        float[] target = new float[ROWS * states + random.nextInt(3) - 1 + (states == 0 ? 1 : 0)];
                        head.logits(hidden, target);
                        requireFinite(target);
                    }
                }
            });
        }
    }

    private static void requireRanked(RankedTokens ranked) {
        for (int s = 0; s < ranked.states(); s++) {
            for (int p = 0; p < ranked.k(); p++) {
                int token = ranked.token(s, p);
                assertTrue(token >= 0 && token < ROWS && Float.isFinite(ranked.logit(s, p)));
                assertTrue(p == 0 || ranked.logit(s, p) <= ranked.logit(s, p - 1));
            }
        }
    }

    @Test
    void tables() {
        try (EmbeddingTable table = EmbeddingTable.of(new ReferenceBackend(), matrix)) {
            Fuzz.run(CASES, random -> {
                int[] tokens = tokens(random, 3);
                float[] target = new float[Math.max(0, tokens.length * COLUMNS + random.nextInt(5) - 1)];
                int offset = Fuzz.one(random, 0, 0, 1, -1, Integer.MAX_VALUE, Integer.MIN_VALUE);
                if (random.nextBoolean()) {
                    table.rows(tokens, target, offset);
                    requireFinite(target);
                } else if (random.nextBoolean()) {
                    MemorySegment segment = MemorySegment.ofArray(target);
                    table.rows(tokens, random.nextInt(8) == 0 ? segment.asReadOnly() : segment);
                } else {
                    assertEquals(tokens.length * COLUMNS, table.rows(tokens).length);
                }
            });
        }
    }
}
