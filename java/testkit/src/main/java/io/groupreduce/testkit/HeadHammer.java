package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.Answers;
import io.groupreduce.EmbeddingTable;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.ComputeBackend;
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
import java.util.stream.IntStream;

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

    private final IntFunction<ComputeBackend> backends;
    private final Path file;
    private final AtomicLong asked = new AtomicLong();
    private final AtomicLong opened = new AtomicLong();

    HeadHammer(IntFunction<ComputeBackend> backends, Path directory) {
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
        try (ComputeBackend backend = backends.apply(2);
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
            SoftmaxHead head, EmbeddingTable table, ComputeBackend backend, List<Question> questions, long milliseconds)
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
        try (ComputeBackend own = backends.apply(1 + random.nextInt(2));
                SoftmaxHead head = SoftmaxHead.open(file, own, HeadOptions.defaults());
                EmbeddingTable table = EmbeddingTable.open(file, own, HeadOptions.defaults())) {
            ask(head, table, random, questions);
        }
        opened.incrementAndGet();
    }

    private void visit(SoftmaxHead head, SplittableRandom random, List<Question> questions) {
        try {
            questions.get(random.nextInt(questions.size())).ask(head, random.nextInt(6) == 0);
        } catch (ClosedHeadException e) {
            // The one other answer that is right here.
            assertTrue(e.getMessage().contains("lm_head.weight"), e.getMessage());
        }
        asked.incrementAndGet();
    }

    private void ask(SoftmaxHead head, EmbeddingTable table, SplittableRandom random, List<Question> questions) {
        Question question = questions.get(random.nextInt(questions.size()));
        question.ask(head, random.nextInt(6) == 0);
        question.ask(table);
        asked.incrementAndGet();
    }

    private static List<Question> questions(SoftmaxHead head, EmbeddingTable table, float[] hidden) {
        List<Question> questions = new ArrayList<>();
        for (int states : new int[] {1, 1, 1, 2, 5, 16}) {
            int from = questions.size() * head.hiddenSize();
            float[] some = Arrays.copyOfRange(hidden, from, from + states * head.hiddenSize());
            questions.add(new Question(head, table, some));
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

    /** Hidden states with requests of every kind, and what was answered while nobody else asked. */
    private static final class Question {
        private final float[] hidden;
        private final Request[] requests;
        private final Answers answers;
        private final float[] logits;
        private final float[] rows;

        Question(SoftmaxHead head, EmbeddingTable table, float[] hidden) {
            this.hidden = hidden;
            this.requests = IntStream.range(0, hidden.length / head.hiddenSize())
                    .mapToObj(HeadContract::requestOf)
                    .toArray(Request[]::new);
            this.answers = answer(head);
            this.logits = new float[requests.length * head.vocabularySize()];
            head.logits(States.of(hidden), logits);
            this.rows = table.rows(answers.tokens());
        }

        /** With requests of one's own, for they serve one thread at a time. */
        private Answers answer(SoftmaxHead head) {
            Answers made = Answers.of(requests.length);
            head.answer(
                    States.of(hidden),
                    Arrays.stream(requests).map(Request::copy).toArray(Request[]::new),
                    made);
            return made;
        }

        void ask(SoftmaxHead head, boolean all) {
            if (all) {
                float[] now = new float[logits.length];
                head.logits(States.of(hidden), now);
                assertArrayEquals(logits, now);
            } else {
                Answers now = answer(head);
                for (int row = 0; row < requests.length; row++) {
                    assertSame(row, now);
                }
            }
        }

        private void assertSame(int row, Answers now) {
            assertEquals(answers.token(row), now.token(row));
            assertEquals(answers.top(row), now.top(row));
            for (int place = 0; place < answers.top(row); place++) {
                assertEquals(answers.topToken(row, place), now.topToken(row, place));
                assertEquals(answers.topLogit(row, place), now.topLogit(row, place));
            }
            assertEquals(answers.scoreLogit(row, 0), now.scoreLogit(row, 0));
            if (row % 3 > 0) {
                assertNear(answers.logSumExp(row), now.logSumExp(row));
                assertNear(answers.logProbability(row), now.logProbability(row));
            }
        }

        void ask(EmbeddingTable table) {
            assertArrayEquals(rows, table.rows(answers.tokens()));
        }

        /** Log-sum-exps may differ within their error, where a backend learns what to leave out. */
        private static void assertNear(double expected, double actual) {
            assertEquals(expected, actual, 8 * InferenceOracle.LOG_SUM_EXP * Math.max(1, Math.abs(expected)));
        }
    }
}
