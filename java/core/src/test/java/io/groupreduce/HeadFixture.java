package io.groupreduce;

import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/** A small compressed matrix, a file of it, and a backend that records what is done to it. */
final class HeadFixture {
    static final String NAME = "lm_head.weight";
    static final int ROWS = 101;
    static final int COLUMNS = 12;

    private HeadFixture() {}

    /** A low-rank group, a dense one and a zero one, without a bias. */
    static CompressedMatrix matrix(String name, long seed) {
        return matrix(name, seed, Arena.ofAuto());
    }

    static CompressedMatrix matrix(String name, long seed, Arena arena) {
        SplittableRandom random = new SplittableRandom(seed);
        byte[] groupOf = new byte[ROWS];
        int[] sizes = new int[3];
        for (int i = 0; i < ROWS; i++) {
            groupOf[i] = (byte) (i % 7 == 3 ? 2 : i % 2);
            sizes[groupOf[i]]++;
        }
        List<GroupPlan> plans =
                List.of(GroupPlan.of(0, 5, Codec.INT8), GroupPlan.dense(COLUMNS, Codec.F32), GroupPlan.zero());
        List<EncodedMatrix> left = new ArrayList<>();
        left.add(encoded(arena, random, Codec.INT8, sizes[0], 5));
        left.add(encoded(arena, random, Codec.F32, sizes[1], COLUMNS));
        left.add(null);
        return new CompressedMatrix(
                name, COLUMNS, groupOf, plans, left, List.of(encoded(arena, random, Codec.F32, 5, COLUMNS)));
    }

    private static EncodedMatrix encoded(Arena arena, SplittableRandom random, Codec codec, int rows, int width) {
        EncodedMatrix matrix = EncodedMatrix.allocate(arena, BitProfile.of(codec, width), rows, width);
        float[] row = new float[width];
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < width; j++) {
                row[j] = (float) random.nextGaussian();
            }
            matrix.encodeRow(r, row, 0);
        }
        return matrix;
    }

    /** A file of some matrices and copied tensors. */
    static Path write(Path file, List<CompressedMatrix> matrices, List<Tensor> copied, Map<String, String> tied) {
        List<CompressedEntry> entries =
                matrices.stream().map(m -> new CompressedEntry(m, Map.of())).toList();
        CompressedFile.write(file, entries, copied, Map.of(), tied);
        return file;
    }

    /** A file of the matrix of seed 1 and such logits, whose bias is {@link #bias}. */
    static Path write(Path file, Logits logits) {
        CompressedEntry entry = new CompressedEntry(matrix(NAME, 1), Map.of(), logits);
        Tensor bias = tensor("lm_head.bias", bias(), ROWS);
        CompressedFile.write(file, List.of(entry), List.of(bias), Map.of(), Map.of("model.embed_tokens.weight", NAME));
        return file;
    }

    /** A file of the matrix of seed 1, whose bias is 0.5 at every token but 7, where it is {@code 1000}. */
    static Path write(Path file) {
        return write(file, new Logits(1, "lm_head.bias", 0, null));
    }

    static float[] bias() {
        float[] bias = new float[ROWS];
        Arrays.fill(bias, 0.5f);
        bias[7] = 1000;
        return bias;
    }

    static Tensor tensor(String name, float[] values, long... shape) {
        return new Tensor(name, DType.F32, shape, MemorySegment.ofArray(values));
    }

    static float[] hidden(int states) {
        SplittableRandom random = new SplittableRandom(99);
        float[] hidden = new float[states * COLUMNS];
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = (float) random.nextGaussian();
        }
        return hidden;
    }

    /** Logits from decoded rows, in double. */
    static double[] logits(CompressedMatrix matrix, float[] bias, float[] hidden, int state) {
        double[] logits = new double[ROWS];
        float[] row = new float[COLUMNS];
        for (int i = 0; i < ROWS; i++) {
            matrix.decodeRows(i, 1, row, 0);
            logits[i] = bias == null ? 0 : bias[i];
            for (int j = 0; j < COLUMNS; j++) {
                logits[i] += (double) row[j] * hidden[state * COLUMNS + j];
            }
        }
        return logits;
    }

    /** Answers every query with the same tokens and numbers, allocates nothing, and counts what is open. */
    static class StubBackend implements ComputeBackend, InferenceSession {
        float logit = 2;
        double sum = 3;
        int token = 1;
        int loaded;
        int sessionsClosed;
        int closed;
        InferenceProblem problem;

        @Override
        public String name() {
            return "stub";
        }

        @Override
        public String description() {
            return "constant answers";
        }

        @Override
        public CompressionWorkspace open(CompressionProblem task) {
            throw new UnsupportedOperationException();
        }

        @Override
        public TokenScores compare(SoftmaxComparison task) {
            throw new UnsupportedOperationException();
        }

        @Override
        public CalibrationSession calibrate(CalibrationProblem task) {
            throw new UnsupportedOperationException();
        }

        @Override
        public InferenceSession load(InferenceProblem task) {
            loaded++;
            problem = task;
            StubBackend backend = this;
            return new ForwardingSession(this) {
                @Override
                public void close() {
                    backend.sessionsClosed++;
                }
            };
        }

        @Override
        public void answer(float[] hidden, int states, Question[] questions, int count, Chosen chosen) {
            for (int q = 0; q < count; q++) {
                Question question = questions[q];
                Arrays.fill(question.listTokens(), 0, question.listed(), token);
                Arrays.fill(question.listLogits(), 0, question.listed(), logit);
                if (question.sumTemperature() > 0) {
                    question.answerSum(logit, sum);
                }
                if (question.drawTemperature() > 0) {
                    question.answerDraw(token, logit);
                }
            }
            Arrays.fill(chosen.logits(), 0, chosen.from()[states], logit);
        }

        @Override
        public void logits(float[] hidden, int states, MemorySegment target) {
            target.fill((byte) (Float.isNaN(logit) ? -1 : 0));
        }

        @Override
        public void rows(int[] tokens, int count, float[] target, int offset) {
            Arrays.fill(target, offset, offset + count * COLUMNS, logit);
        }

        @Override
        public void close() {
            closed++;
        }
    }

    /** A session of its own for every load. */
    private abstract static class ForwardingSession implements InferenceSession {
        private final InferenceSession to;

        ForwardingSession(InferenceSession to) {
            this.to = to;
        }

        @Override
        public void answer(float[] hidden, int states, Question[] questions, int count, Chosen chosen) {
            to.answer(hidden, states, questions, count, chosen);
        }

        @Override
        public void logits(float[] hidden, int states, MemorySegment target) {
            to.logits(hidden, states, target);
        }

        @Override
        public void rows(int[] tokens, int count, float[] target, int offset) {
            to.rows(tokens, count, target, offset);
        }
    }
}
