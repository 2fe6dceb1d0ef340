package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Sampling;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
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
                States given = States.of(hidden);
                given = random.nextInt(6) == 0 ? given.from(random.nextInt(4)) : given;
                given = random.nextInt(6) == 0 ? given.every(COLUMNS + random.nextInt(3) - 1) : given;
                States asked = random.nextInt(6) == 0 ? given.first(1 + random.nextInt(3)) : given;
                switch (random.nextInt(8)) {
                    case 0 -> requireTokens(head.greedy(asked));
                    case 1 -> requireTokens(head.greedy(States.of(MemorySegment.ofArray(hidden), DType.F32)));
                    case 2 -> requireRanked(head.topK(asked, k));
                    case 3 -> requireFinite(head.logProbabilities(asked, tokens(random, states)));
                    case 4 -> requireFinite(head.logitsOf(asked, tokens(random, states)));
                    case 5 -> requireTokens(head.sample(asked, requests(random, states)));
                    case 6 -> {
                        for (double sum : head.logSumExp(asked)) {
                            assertTrue(Double.isFinite(sum));
                        }
                    }
                    default -> {
                        float[] target = new float[ROWS * states + random.nextInt(3) - 1 + (states == 0 ? 1 : 0)];
                        head.logits(asked, target);
                        requireFinite(target);
                    }
                }
            });
        }
    }

    private static Request[] requests(Random random, int states) {
        Request[] requests = new Request[random.nextInt(8) == 0 ? random.nextInt(4) : states];
        for (int i = 0; i < requests.length; i++) {
            int k = Fuzz.one(random, 0, 1, 5, ROWS, -1, ROWS + 1, Integer.MAX_VALUE);
            Request request = random.nextInt(4) == 0
                    ? Request.greedy()
                    : Request.sample(
                            new Sampling(number(random), k, number(random), number(random)), random.nextLong());
            int token = random.nextInt(20) == 0 ? Fuzz.one(random, -1, ROWS) : random.nextInt(ROWS);
            requests[i] = request.top(random.nextInt(6))
                    .bias(token, random.nextInt(20) == 0 ? Double.NaN : random.nextGaussian())
                    .prompt(tokens(random, 3))
                    .repetitionPenalty(number(random))
                    .presencePenalty(number(random))
                    .allow(random.nextBoolean() ? null : TokenSet.of(tokens(random, random.nextInt(4))))
                    .probabilities(Fuzz.one(random, Probabilities.NONE, Probabilities.MODEL, Probabilities.DRAWN));
        }
        return requests;
    }

    private static void requireRanked(Answers ranked) {
        for (int s = 0; s < ranked.rows(); s++) {
            for (int p = 0; p < ranked.top(s); p++) {
                int token = ranked.topToken(s, p);
                assertTrue(token >= 0 && token < ROWS && Float.isFinite(ranked.topLogit(s, p)));
                assertTrue(p == 0 || ranked.topLogit(s, p) <= ranked.topLogit(s, p - 1));
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
