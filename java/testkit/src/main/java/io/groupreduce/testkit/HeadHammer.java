package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.EmbeddingTable;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.RankedTokens;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.Backend;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;

/**
 * Sixteen threads on one file: most ask one head and one table and know the right answers; some ask a head that another thread closes
 * under them; some open heads with backends of their own, ask once and close. Afterwards all mappings and threads are gone, and the heap has
 * not grown.
 */
final class HeadHammer {
    private static final int THREADS = 16;
    private static final int OPENERS = 2;
    private static final int VISITORS = 3;
    private static final long GROWTH_BYTES = 24L << 20;
    private static final Sampling SAMPLING =
            Sampling.temperature(0.9).withTopK(60).withTopP(0.97);

    private final IntFunction<Backend> backends;
    private final Path file;
    private final AtomicLong asked = new AtomicLong();
    private final AtomicLong opened = new AtomicLong();

    HeadHammer(IntFunction<Backend> backends, Path directory) {
        this.backends = backends;
        this.file = directory.resolve("hammer.safetensors");
    }

    void run(int seconds) throws Exception {
        float[] hidden;
        try (InferenceCase c = InferenceCase.random(61, MatrixBuilder.Numbers.SMOOTH)) {
            CompressedMatrix matrix = c.matrix.named("lm_head.weight").withBias(c.bias);
            CompressedFile.write(
                    file,
                    List.of(new CompressedEntry(matrix, Map.of())),
                    List.of(),
                    Map.of(),
                    Map.of("embed_tokens.weight", "lm_head.weight"));
            hidden = c.hidden;
        }
        long mappedBefore = mapped();
        int threadsBefore = Thread.activeCount();
        try (Backend backend = backends.apply(2);
                SoftmaxHead head = SoftmaxHead.open(file, backend, HeadOptions.defaults());
                EmbeddingTable table = EmbeddingTable.open(file, backend, HeadOptions.defaults())) {
            List<Question> questions = questions(head, table, hidden);
            hammer(head, table, backend, questions, 200);
            long heapBefore = usedHeap();
            assertTrue(mapped() > mappedBefore, "an open file is mapped");
            hammer(head, table, backend, questions, seconds * 1000L);
            long growth = usedHeap() - heapBefore;
            assertTrue(growth < GROWTH_BYTES, "the heap grew by " + growth + " bytes in " + asked + " queries");
            assertTrue(opened.get() > 0, "heads were opened");
        }
        for (int wait = 0; wait < 100 && Thread.activeCount() > threadsBefore; wait++) {
            Thread.sleep(50);
        }
        assertTrue(Thread.activeCount() <= threadsBefore, "threads stay behind: " + Thread.activeCount());
        assertTrue(mapped() <= mappedBefore, "mappings stay behind: " + mapped());
    }

    private void hammer(
            SoftmaxHead head, EmbeddingTable table, Backend backend, List<Question> questions, long milliseconds)
            throws Exception {
        long end = System.nanoTime() + 1_000_000 * milliseconds;
        AtomicReference<SoftmaxHead> visited =
                new AtomicReference<>(SoftmaxHead.open(file, backend, HeadOptions.defaults()));
        ExecutorService pool = Executors.newFixedThreadPool(THREADS);
        try {
            List<Future<?>> running = new ArrayList<>();
            for (int t = 0; t < THREADS; t++) {
                SplittableRandom random = new SplittableRandom(t);
                Runnable step = t == 0
                        ? () -> visited.getAndSet(SoftmaxHead.open(file, backend, HeadOptions.defaults()))
                                .close()
                        : t <= OPENERS
                                ? () -> openAskClose(random, questions)
                                : t <= OPENERS + VISITORS
                                        ? () -> visit(visited.get(), random, questions)
                                        : () -> ask(head, table, random, questions);
                running.add(pool.submit(() -> {
                    while (System.nanoTime() < end) {
                        step.run();
                    }
                }));
            }
            for (Future<?> thread : running) {
                thread.get();
            }
        } finally {
            pool.shutdown();
            visited.get().close();
        }
        pool.close();
    }

    private void openAskClose(SplittableRandom random, List<Question> questions) {
        try (Backend own = backends.apply(1 + random.nextInt(2));
                SoftmaxHead head = SoftmaxHead.open(file, own, HeadOptions.defaults());
                EmbeddingTable table = EmbeddingTable.open(file, own, HeadOptions.defaults())) {
            ask(head, table, random, questions);
        }
        opened.incrementAndGet();
    }

    private void visit(SoftmaxHead head, SplittableRandom random, List<Question> questions) {
        try {
            questions.get(random.nextInt(questions.size())).ask(head, random.nextInt(Question.KINDS));
        } catch (ClosedHeadException e) {
            // The one other answer that is right here.
            assertTrue(e.getMessage().contains("lm_head.weight"), e.getMessage());
        }
        asked.incrementAndGet();
    }

    private void ask(SoftmaxHead head, EmbeddingTable table, SplittableRandom random, List<Question> questions) {
        Question question = questions.get(random.nextInt(questions.size()));
        question.ask(head, random.nextInt(Question.KINDS));
        question.ask(table);
        asked.incrementAndGet();
    }

    private static List<Question> questions(SoftmaxHead head, EmbeddingTable table, float[] hidden) {
        List<Question> questions = new ArrayList<>();
        for (int states : new int[] {1, 1, 1, 2, 5, 16}) {
            int from = questions.size() * head.hiddenSize();
            float[] some = Arrays.copyOfRange(hidden, from, from + states * head.hiddenSize());
            questions.add(new Question(head, table, some, questions.size()));
        }
        return questions;
    }

    private static long mapped() {
        return ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
                .filter(pool -> pool.getName().equals("mapped"))
                .mapToLong(BufferPoolMXBean::getCount)
                .sum();
    }

    private static long usedHeap() {
        System.gc();
        System.gc();
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }

    /** Hidden states, and what was answered while nobody else asked. */
    private static final class Question {
        static final int KINDS = 6;
        private static final int K = 10;

        private final float[] hidden;
        private final long seed;
        private final int[] greedy;
        private final RankedTokens ranked;
        private final float[] scores;
        private final int[] drawn;
        private final double[] logSumExp;
        private final float[] logits;
        private final float[] rows;

        Question(SoftmaxHead head, EmbeddingTable table, float[] hidden, long seed) {
            this.hidden = hidden;
            this.seed = seed;
            this.greedy = head.greedy(hidden);
            this.ranked = head.topK(hidden, K);
            this.scores = head.logProbabilities(hidden, greedy);
            this.drawn = head.sample(hidden, SAMPLING, seed);
            this.logSumExp = head.logSumExp(hidden);
            this.logits = new float[greedy.length * head.vocabularySize()];
            head.logits(hidden, logits);
            this.rows = table.rows(drawn);
        }

        /** Log-sum-exps may differ within their error, where a backend learns what to leave out. */
        void ask(SoftmaxHead head, int kind) {
            switch (kind) {
                case 0 -> assertArrayEquals(greedy, head.greedy(hidden));
                case 1 -> {
                    RankedTokens now = head.topK(hidden, K);
                    assertArrayEquals(ranked.tokens(), now.tokens());
                    assertArrayEquals(ranked.logits(), now.logits());
                    assertNear(ranked.logProbabilities(), now.logProbabilities());
                }
                case 2 -> assertNear(scores, head.logProbabilities(hidden, greedy));
                case 3 -> assertArrayEquals(drawn, head.sample(hidden, SAMPLING, seed));
                case 4 -> {
                    double[] now = head.logSumExp(hidden);
                    for (int s = 0; s < now.length; s++) {
                        assertEquals(logSumExp[s], now[s], allowed(logSumExp[s]));
                    }
                }
                default -> {
                    float[] now = new float[logits.length];
                    head.logits(hidden, now);
                    assertArrayEquals(logits, now);
                }
            }
        }

        void ask(EmbeddingTable table) {
            assertArrayEquals(rows, table.rows(drawn));
        }

        private static void assertNear(float[] expected, float[] actual) {
            for (int i = 0; i < expected.length; i++) {
                assertEquals(expected[i], actual[i], 4 * allowed(expected[i]));
            }
        }

        private static double allowed(double value) {
            return 2 * InferenceOracle.LOG_SUM_EXP * Math.max(1, Math.abs(value));
        }
    }
}
