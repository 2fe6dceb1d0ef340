package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Pruning;
import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.Question;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Questions of every kind, against plain arithmetic on all logits of the same states. */
class AnswersTest {
    private static final int COLUMNS = 96;
    /** The last tile of every group is ragged; one group is long enough for tables and for several tasks. */
    private static final int[] ROWS = {TILE + 3, 14 * TILE + 1, 2 * TILE - 1, 3, TILE + 7};

    private static final int TOKENS = Arrays.stream(ROWS).sum();

    private final SplittableRandom random = new SplittableRandom(15);
    private final float[] bias = floats(TOKENS, 0.5f);
    private final int[] lastTokens = new int[ROWS.length];

    private float[] floats(int count, float size) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian() * size;
        }
        return values;
    }

    private EncodedMatrix stored(Arena arena, BitProfile profile, int rows, int block, float decay) {
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, profile, rows, block);
        for (int i = 0; i < rows; i++) {
            float[] row = floats(profile.width(), 0.7f);
            for (int d = 0; d < row.length; d++) {
                row[d] /= 1 + decay * d;
            }
            matrix.encodeRow(i, row, 0);
        }
        return matrix;
    }

    /** Dense rows, codes of falling widths, codes of blocks, binary32 coordinates, and rows of zeros. */
    private CompressedMatrix matrix(Arena arena) {
        int[] bits = new int[90];
        Arrays.setAll(bits, d -> Math.max(1, 7 - d / 9));
        BitProfile[] profiles = {
            BitProfile.of(Codec.BF16, COLUMNS),
            BitProfile.of(bits),
            BitProfile.of(Codec.INT8, 64),
            BitProfile.of(Codec.F32, 7),
            BitProfile.EMPTY
        };
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        byte[] groupOf = new byte[TOKENS];
        for (int g = 0, token = 0; g < ROWS.length; g++) {
            plans.add(new GroupPlan(g == 0 ? GroupPlan.DENSE : g == 4 ? GroupPlan.ZERO : 0, profiles[g]));
            left.add(g == 4 ? null : stored(arena, profiles[g], ROWS[g], g == 2 ? 32 : profiles[g].width(), 0.2f));
            Arrays.fill(groupOf, token, token += ROWS[g], (byte) g);
        }
        for (int i = TOKENS - 1; i > 0; i--) {
            int j = random.nextInt(i + 1);
            byte other = groupOf[i];
            groupOf[i] = groupOf[j];
            groupOf[j] = other;
        }
        for (int token = 0; token < TOKENS; token++) {
            lastTokens[groupOf[token]] = token;
        }
        List<EncodedMatrix> right = List.of(stored(arena, BitProfile.of(Codec.F32, COLUMNS), 90, COLUMNS, 0));
        return new CompressedMatrix("rows", COLUMNS, groupOf, plans, left, right);
    }

    /** A question with a memory of its answer. */
    private static final class Asked implements Question {
        int state;
        long[] open;
        int listed;
        double sumTemperature;
        double tolerance;
        double drawTemperature;
        long key;
        int[] tokens = new int[LONGEST_LIST];
        float[] logits = new float[LONGEST_LIST];
        float largest;
        double sum;
        int drawn;
        float drawnLogit;
        int sums;
        int draws;

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
        public void answerSum(float itsLargest, double itsSum) {
            largest = itsLargest;
            sum = itsSum;
            sums++;
        }

        @Override
        public void answerDraw(int token, float logit) {
            drawn = token;
            drawnLogit = logit;
            draws++;
        }

        boolean isOpen(int token) {
            return open == null || (open[token / 64] >>> token % 64 & 1) == 1;
        }

        /** The same question, not yet answered. */
        Asked again() {
            Asked other = new Asked();
            other.state = state;
            other.open = open;
            other.listed = listed;
            other.sumTemperature = sumTemperature;
            other.tolerance = tolerance;
            other.drawTemperature = drawTemperature;
            other.key = key;
            return other;
        }

        void assertSame(Asked other, String what) {
            assertArrayEquals(tokens, other.tokens, what);
            assertArrayEquals(logits, other.logits, what);
            assertEquals(largest, other.largest, what);
            assertEquals(sum, other.sum, what);
            assertEquals(drawn, other.drawn, what);
            assertEquals(drawnLogit, other.drawnLogit, what);
        }
    }

    private long[] mask(int kind) {
        long[] open = new long[TOKENS / 64 + 2];
        // What lies beyond the vocabulary must not matter.
        Arrays.fill(open, TOKENS / 64 + 1, open.length, -1L);
        if (kind == 0) {
            int only = lastTokens[random.nextInt(ROWS.length)];
            open[only / 64] |= 1L << only % 64;
            return open;
        }
        double share = new double[] {0, 0.01, 0.5, 0.97}[kind];
        for (int token = 0; token < TOKENS; token++) {
            open[token / 64] |= (random.nextDouble() < share ? 1L : 0) << token % 64;
        }
        open[0] |= 1;
        open[TOKENS / 64] |= TOKENS % 64 == 0 ? 0 : -1L << TOKENS % 64;
        return open;
    }

    private Asked[] questions(int states, long[] shared) {
        List<Asked> all = new ArrayList<>();
        for (int state = 0; state < states; state++) {
            for (int i = random.nextInt(4); i > 0; i--) {
                Asked asked = new Asked();
                asked.state = state;
                int kind = random.nextInt(6);
                asked.open = kind < 4 ? mask(kind) : kind == 4 ? shared : null;
                int most =
                        (int) IntStream.range(0, TOKENS).filter(asked::isOpen).count();
                asked.listed = random.nextBoolean() ? Math.min(most, 1 + random.nextInt(40)) : 0;
                asked.sumTemperature = random.nextBoolean() ? 0.2 + random.nextDouble() * 2 : 0;
                asked.tolerance = random.nextBoolean() ? 1e-3 : 0;
                asked.drawTemperature = random.nextBoolean() ? 0.2 + random.nextDouble() * 2 : 0;
                asked.key = random.nextLong();
                all.add(asked);
            }
        }
        return all.toArray(Asked[]::new);
    }

    private static void assertAnswered(Asked asked, float[] logits, String what) {
        Integer[] open =
                IntStream.range(0, TOKENS).filter(asked::isOpen).boxed().toArray(Integer[]::new);
        Arrays.sort(open, Comparator.comparingDouble((Integer t) -> -logits[t]));
        for (int place = 0; place < asked.listed; place++) {
            assertEquals(open[place], asked.tokens[place], what + ", place " + place);
            assertEquals(logits[open[place]], asked.logits[place], what + ", place " + place);
        }
        if (asked.sumTemperature > 0) {
            double sum = 0;
            for (int token : open) {
                sum += Math.exp(((double) logits[token] - logits[open[0]]) / asked.sumTemperature);
            }
            assertEquals(logits[open[0]], asked.largest, what + ", largest");
            assertEquals(sum, asked.sum, sum * (2e-6 + 1.01 * asked.tolerance), what + ", sum");
        }
        if (asked.drawTemperature > 0) {
            int best = -1;
            double most = Double.NEGATIVE_INFINITY;
            for (int token : open) {
                double value =
                        logits[token] / asked.drawTemperature + GumbelNoise.of(GumbelNoise.hash(asked.key, token));
                if (value > most) {
                    most = value;
                    best = token;
                }
            }
            assertEquals(best, asked.drawn, what + ", draw");
            assertEquals(logits[best], asked.drawnLogit, what + ", draw");
        }
        assertEquals(asked.sumTemperature > 0 ? 1 : 0, asked.sums, what + ": answered once");
        assertEquals(asked.drawTemperature > 0 ? 1 : 0, asked.draws, what + ": answered once");
    }

    private Chosen chosen(int states) {
        int[] from = new int[states + 2];
        for (int s = 0; s < states; s++) {
            from[s + 1] = from[s] + random.nextInt(3) * 150;
        }
        return new Chosen(from, random.ints(from[states], 0, TOKENS).toArray(), new float[from[states]]);
    }

    @Test
    void answersAreThoseOfPlainArithmetic() {
        try (Arena arena = Arena.ofShared();
                Workers one = new Workers(1);
                Workers three = new Workers(3)) {
            CompressedMatrix matrix = matrix(arena);
            for (double cap : new double[] {0, 6}) {
                float[] added = cap == 0 ? null : bias;
                InferenceProblem problem = new InferenceProblem(matrix, added, cap, Pruning.ALWAYS);
                try (VectorInference alone = new VectorInference(one, problem);
                        VectorInference shared = new VectorInference(three, problem)) {
                    for (int states : new int[] {1, 3, 4, 7}) {
                        ask(alone, shared, matrix, problem, states, "cap " + cap + ", " + states + " states");
                    }
                }
            }
        }
    }

    private void ask(
            VectorInference alone,
            VectorInference shared,
            CompressedMatrix matrix,
            InferenceProblem problem,
            int states,
            String what) {
        float[] hidden = floats(states * COLUMNS, 0.4f);
        float[] all = new float[states * TOKENS];
        alone.logits(hidden, states, MemorySegment.ofArray(all));
        Asked[] questions = questions(states, mask(2));
        Asked[] again = Arrays.stream(questions).map(Asked::again).toArray(Asked[]::new);
        Chosen chosen = chosen(states);
        Chosen chosenAgain = new Chosen(chosen.from(), chosen.tokens(), new float[chosen.tokens().length]);
        alone.answer(hidden, states, questions, questions.length, chosen);
        shared.answer(hidden, states, again, again.length, chosenAgain);
        assertArrayEquals(chosen.logits(), chosenAgain.logits(), what);
        float[] row = new float[COLUMNS];
        for (int s = 0; s < states; s++) {
            for (int i = chosen.from()[s]; i < chosen.from()[s + 1]; i++) {
                int token = chosen.tokens()[i];
                matrix.decodeRows(token, 1, row, 0);
                double y = problem.bias() == null ? 0 : problem.bias()[token];
                double size = Math.abs(y);
                for (int j = 0; j < COLUMNS; j++) {
                    y += (double) row[j] * hidden[s * COLUMNS + j];
                    size += Math.abs((double) row[j] * hidden[s * COLUMNS + j]);
                }
                double logit = problem.cap() == 0 ? y : problem.cap() * Math.tanh(y / problem.cap());
                assertEquals(logit, chosen.logits()[i], 4e-6 * size, what + ", chosen token " + token);
                assertEquals(logit, all[s * TOKENS + token], 4e-6 * size, what + ", logit of " + token);
            }
        }
        for (int q = 0; q < questions.length; q++) {
            Asked asked = questions[q];
            float[] logits = Arrays.copyOfRange(all, asked.state * TOKENS, (asked.state + 1) * TOKENS);
            String which = what + ", question " + q;
            assertAnswered(asked, logits, which);
            asked.assertSame(again[q], which + ", other threads");
        }
        if (questions.length > 0) {
            Asked asked = questions[random.nextInt(questions.length)];
            Asked single = asked.again();
            alone.answer(hidden, states, new Asked[] {single}, 1, null);
            asked.assertSame(single, what + ", asked alone");
            if (states <= 4) {
                Asked moved = asked.again();
                moved.state = 0;
                float[] only = Arrays.copyOfRange(hidden, asked.state * COLUMNS, (asked.state + 1) * COLUMNS);
                alone.answer(only, 1, new Asked[] {moved}, 1, null);
                asked.assertSame(moved, what + ", in a batch of its own");
            }
        }
    }

    @Test
    void aStateBeyondBinary32HasNoAnswerAndOthersHave() {
        try (Arena arena = Arena.ofShared();
                Workers workers = new Workers(1)) {
            InferenceProblem problem = new InferenceProblem(matrix(arena), null, 0, Pruning.AUTO);
            try (VectorInference session = new VectorInference(workers, problem)) {
                for (int states : new int[] {2, 7}) {
                    float[] hidden = floats(states * COLUMNS, 0.4f);
                    Arrays.fill(hidden, COLUMNS, 2 * COLUMNS, 3e38f);
                    Asked[] questions = new Asked[states];
                    for (int s = 0; s < states; s++) {
                        questions[s] = new Asked();
                        questions[s].state = s;
                        questions[s].listed = 3;
                        questions[s].sumTemperature = 1;
                        questions[s].drawTemperature = 1;
                    }
                    int[] from = new int[states + 1];
                    Arrays.setAll(from, s -> s);
                    Chosen chosen = new Chosen(from, new int[states], new float[states]);
                    session.answer(hidden, states, questions, states, chosen);
                    for (int s = 0; s < states; s++) {
                        boolean answered = s != 1;
                        assertEquals(answered, questions[s].tokens[0] >= 0);
                        assertEquals(answered, Float.isFinite(questions[s].logits[2]));
                        assertEquals(answered, questions[s].drawn >= 0);
                        assertEquals(answered, Float.isFinite(questions[s].drawnLogit));
                        assertEquals(answered, Double.isFinite(questions[s].sum));
                        assertEquals(answered, Float.isFinite(questions[s].largest));
                        assertEquals(answered, Float.isFinite(chosen.logits()[s]));
                    }
                    float[] all = new float[states * TOKENS];
                    session.logits(hidden, states, MemorySegment.ofArray(all));
                    assertTrue(Float.isNaN(all[TOKENS]) && Float.isNaN(all[2 * TOKENS - 1]));
                    assertTrue(Float.isFinite(all[0]) && Float.isFinite(all[TOKENS - 1]));
                }
            }
        }
    }
}
