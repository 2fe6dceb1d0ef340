package io.groupreduce;

import static io.groupreduce.SoftmaxHeadTest.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.groupreduce.api.Device;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Safetensors;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Who opens and closes what, when, and what a query costs. */
class HeadLifecycleTest {
    @TempDir
    Path directory;

    private final CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1);
    private final States hidden = States.of(HeadFixture.hidden(2));

    @Test
    void everyQueryOfAClosedHeadIsRefused() {
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend();
        SoftmaxHead head = SoftmaxHead.of(stub, matrix, null, HeadOptions.defaults());
        head.close();
        head.close();
        assertEquals(1, stub.sessionsClosed);
        assertEquals(0, stub.closed, "the backend is the caller's");
        Request[] requests = {Request.greedy(), Request.greedy()};
        for (Executable query : List.<Executable>of(
                () -> head.answer(hidden, requests, Answers.of(2)),
                () -> head.greedy(hidden),
                () -> head.topK(hidden, 1),
                () -> head.logProbabilities(hidden, new int[2]),
                () -> head.logitsOf(hidden, 1),
                () -> head.sample(hidden, requests),
                () -> head.logSumExp(hidden),
                () -> head.logits(hidden, new float[2 * HeadFixture.ROWS]))) {
            assertFails(ClosedHeadException.class, query, "softmax head", HeadFixture.NAME, "closed");
        }
        assertEquals(HeadFixture.ROWS, head.vocabularySize());
    }

    @Test
    void aMatrixInAnArenaOfOneThreadIsRefused() throws Exception {
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend();
        try (Arena confined = Arena.ofConfined();
                ExecutorService other = Executors.newSingleThreadExecutor()) {
            CompressedMatrix mine = HeadFixture.matrix(HeadFixture.NAME, 1, confined);
            for (Executable opening : List.<Executable>of(
                    () -> SoftmaxHead.of(stub, mine, null, HeadOptions.defaults()),
                    () -> EmbeddingTable.of(stub, mine))) {
                Runnable refused = () -> assertFails(
                        InvalidOptionException.class,
                        opening,
                        "left factor of group 0 of '" + HeadFixture.NAME,
                        "one thread",
                        "Arena.ofShared()");
                refused.run();
                other.submit(refused).get();
            }
            assertEquals(0, stub.loaded);
        }
    }

    @Test
    void theProblemHoldsWhatTheOptionsSay() {
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend();
        HeadOptions options = HeadOptions.defaults().withPruning(Pruning.ALWAYS).withBias(HeadFixture.bias());
        SoftmaxHead.of(stub, matrix, null, options).close();
        InferenceProblem problem = stub.problem;
        assertSame(matrix, problem.matrix());
        assertEquals(Pruning.ALWAYS, problem.pruning());
        assertEquals(0, problem.cap());
        assertEquals(1000, problem.bias()[7]);
    }

    @Test
    void closingWaitsForRunningQueries() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend() {
            @Override
            public void answer(float[] states, int count, Question[] questions, int asked, Chosen chosen) {
                begun.countDown();
                try {
                    goOn.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
                token = sessionsClosed;
                super.answer(states, count, questions, asked, chosen);
            }
        };
        SoftmaxHead head = SoftmaxHead.of(stub, matrix, null, HeadOptions.defaults());
        States one = States.of(HeadFixture.hidden(1));
        try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
            Future<int[]> query = pool.submit(() -> head.greedy(one));
            begun.await();
            Thread closer = new Thread(head::close);
            closer.start();
            while (closer.getState() != Thread.State.WAITING) {
                Thread.onSpinWait();
            }
            assertEquals(0, stub.sessionsClosed);
            goOn.countDown();
            closer.join();
            assertEquals(0, query.get()[0], "closed while a query ran");
            assertEquals(1, stub.sessionsClosed);
        }
    }

    @Test
    void anOpenedFileIsMappedAndUnmapped() {
        Path file = HeadFixture.write(directory.resolve("a.safetensors"));
        long before = mapped();
        HeadOptions options =
                HeadOptions.defaults().withDevice(Device.REFERENCE).withThreads(1);
        SoftmaxHead head = SoftmaxHead.open(file, options);
        EmbeddingTable table = EmbeddingTable.open(file, options);
        assertEquals(before + 2, mapped());
        head.close();
        table.close();
        table.close();
        assertEquals(before, mapped());

        HeadFixture.StubBackend stub = new HeadFixture.StubBackend();
        try (SoftmaxHead shared = SoftmaxHead.open(file, stub, HeadOptions.defaults());
                EmbeddingTable other = EmbeddingTable.open(file, stub, HeadOptions.defaults())) {
            assertEquals(shared.name(), other.name());
            assertEquals(2, stub.loaded);
        }
        assertEquals(2, stub.sessionsClosed);
        assertEquals(0, stub.closed, "the backend is the caller's");
        assertEquals(before, mapped());
    }

    @Test
    void aFailedOpeningLeavesNothingBehind() throws Exception {
        Path file = HeadFixture.write(directory.resolve("a.safetensors"));
        Path newer = directory.resolve("newer.safetensors");
        SafetensorsWriter.write(newer, List.of(), Map.of(CompressedFile.METADATA_KEY, "{\"format\":4,\"tensors\":{}}"));
        Path text = Files.writeString(directory.resolve("text.safetensors"), "not a model");
        HeadOptions options = HeadOptions.defaults().withDevice(Device.REFERENCE);
        long before = mapped();
        assertFails(InvalidDataException.class, () -> SoftmaxHead.open(newer, options), "format version 4", "newer");
        assertFails(InvalidDataException.class, () -> EmbeddingTable.open(newer, options), "format version 4");
        assertFails(MalformedFileException.class, () -> SoftmaxHead.open(text, options), "text.safetensors");
        assertFails(FileAccessException.class, () -> SoftmaxHead.open(directory.resolve("b"), options), "not exist");
        assertFails(
                InvalidDataException.class,
                () -> SoftmaxHead.open(file, options.withTensor("x")),
                "\"x\"",
                HeadFixture.NAME);
        assertFails(
                InvalidDataException.class, () -> SoftmaxHead.open(file, options.withBias(new float[3])), "3 entries");
        assertFails(
                DeviceException.class,
                () -> SoftmaxHead.open(file, options.withDevice(Device.cuda(9999))),
                "cuda:9999");
        Path unclear = HeadFixture.write(
                directory.resolve("unclear.safetensors"),
                List.of(HeadFixture.matrix("a", 1), HeadFixture.matrix("b", 2)),
                List.of(),
                Map.of());
        String how = "; name one. HeadOptions.withTensor takes the name.";
        assertFails(InvalidDataException.class, () -> SoftmaxHead.open(unclear, options), "\"a\", \"b\"" + how);
        assertFails(InvalidDataException.class, () -> EmbeddingTable.open(unclear, options), "\"a\", \"b\"" + how);
        HeadFixture.StubBackend failing = new HeadFixture.StubBackend() {
            @Override
            public InferenceSession load(InferenceProblem task) {
                throw new DeviceException("The card is full.");
            }
        };
        assertFails(DeviceException.class, () -> SoftmaxHead.open(file, failing, options), "full");
        assertEquals(0, failing.closed);
        assertEquals(before, mapped());
    }

    @Test
    void damagedFactorsAreToldWhenTheHeadIsOpened() throws Exception {
        Path file = HeadFixture.write(directory.resolve("a.safetensors"));
        byte[] bytes = Files.readAllBytes(file);
        long at;
        try (Safetensors raw = Safetensors.open(file)) {
            MemorySegment data = raw.require(HeadFixture.NAME + ".codes").data();
            at = MemorySegment.ofArray(bytes).byteSize()
                    - tail(raw, data)
                    + HeadFixture.matrix(HeadFixture.NAME, 1).left(0).data().byteSize();
            at += 4 * (HeadFixture.COLUMNS * 2 + 3);
        }
        MemorySegment.ofArray(bytes).set(ValueLayout.JAVA_INT_UNALIGNED, at, 0x7fc00000);
        Path damaged = Files.write(directory.resolve("b.safetensors"), bytes);
        ReferenceBackend backend = new ReferenceBackend();
        assertFails(
                InvalidDataException.class,
                () -> SoftmaxHead.open(damaged, backend, HeadOptions.defaults()),
                "group 1",
                HeadFixture.NAME,
                "NaN in row 2, column 3");
        float[] bias = HeadFixture.bias();
        bias[50] = Float.NEGATIVE_INFINITY;
        HeadOptions options = HeadOptions.defaults().withBias(bias);
        assertFails(
                InvalidDataException.class,
                () -> SoftmaxHead.of(backend, matrix, null, options),
                "-Infinity",
                "index 50");
        // The table looks at the rows it is asked for only.
        int token = 0;
        for (int slot = -1; slot < 2; token++) {
            slot += matrix.group(token) == 1 ? 1 : 0;
        }
        int bad = token - 1;
        try (EmbeddingTable table = EmbeddingTable.open(damaged, backend, HeadOptions.defaults())) {
            assertFails(InvalidDataException.class, () -> table.rows(new int[] {bad}), "token " + bad);
            assertEquals(HeadFixture.COLUMNS, table.rows(new int[] {bad + 1}).length);
        }
    }

    /** Bytes from the beginning of a tensor to the end of the file: of it and of all that follow. */
    private static long tail(Safetensors file, MemorySegment data) {
        return file.tensors().values().stream()
                .map(tensor -> tensor.data())
                .filter(other -> other.address() >= data.address())
                .mapToLong(MemorySegment::byteSize)
                .sum();
    }

    @Test
    void queriesInGivenArraysAllocateNothingOfTheirOwn() {
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend();
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        float[] many = HeadFixture.hidden(500);
        MemorySegment segment = MemorySegment.ofArray(many);
        States states = States.of(segment, DType.F32);
        int[] tokens = new int[500];
        float[] floats = new float[500 * HeadFixture.ROWS];
        Request[] requests = new Request[500];
        for (int i = 0; i < requests.length; i++) {
            Request request = i % 3 == 0
                    ? Request.greedy()
                    : Request.sample(Sampling.temperature(1).withTopK(i % 2 * 5), i);
            requests[i] = request.top(7)
                    .score(1, 2)
                    .bias(3, 1)
                    .repetitionPenalty(1.1)
                    .prompt(4)
                    .allow(i % 5 == 0 ? TokenSet.allExcept(9) : null)
                    .probabilities(Probabilities.values()[i % 3]);
        }
        Answers answers = Answers.of(500);
        int calls = 100;
        try (SoftmaxHead head = SoftmaxHead.of(stub, matrix, null, HeadOptions.defaults());
                EmbeddingTable table = EmbeddingTable.of(stub, matrix)) {
            long least = Long.MAX_VALUE;
            for (int round = 0; round < 20; round++) {
                long before = threads.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < calls; i++) {
                    head.answer(states, requests, answers);
                    head.logits(states, floats);
                    table.rows(tokens, segment);
                    table.row(tokens[0], floats, 0);
                }
                least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
            }
            // Views of segments are small objects while the code is interpreted; the smallest scratch array is 2,000
            // bytes.
            assertTrue(least < 1000L * calls, least / calls + " bytes for four queries");
        }
    }

    @Test
    void aFailedQueryGivesTheLockBack() {
        HeadFixture.StubBackend stub = new HeadFixture.StubBackend() {
            @Override
            public void answer(float[] h, int states, Question[] questions, int count, Chosen chosen) {
                throw new DeviceException("The card is gone.");
            }
        };
        SoftmaxHead head = SoftmaxHead.of(stub, matrix, null, HeadOptions.defaults());
        assertFails(DeviceException.class, () -> head.greedy(hidden), "gone");
        assertFails(InvalidDataException.class, () -> head.greedy(States.of(new float[1])), "1 numbers");
        head.logits(hidden, new float[2 * HeadFixture.ROWS]);
        head.close();
        assertEquals(1, stub.sessionsClosed);
    }

    private static long mapped() {
        return ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
                .filter(pool -> pool.getName().equals("mapped"))
                .mapToLong(BufferPoolMXBean::getCount)
                .sum();
    }
}
