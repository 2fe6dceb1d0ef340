package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.Answers;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.TokenSet;
import io.groupreduce.api.DeviceAnswers;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Sampling;
import io.groupreduce.api.Threads;
import io.groupreduce.cuda.CudaBackendProvider;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Graph;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Hidden states and answers in the memory and the stream of somebody else, which another device object is. */
@Tag("gpu")
class DeviceStatesTest {
    private static final int STATES = 70;
    private static final int K = 3;
    private static final int STRIDE = 47;

    private final Arena arena = Arena.ofShared();
    private final CompressedMatrix matrix = TestHeads.small(arena, 3);
    private final int columns = matrix.columns();
    private final List<DeviceMemory> buffers = new ArrayList<>();
    private Device theirs;
    private ComputeBackend backend;
    private SoftmaxHead head;

    @BeforeEach
    void open() {
        theirs = TestDevice.fresh();
        backend = new CudaBackendProvider().create(0, Threads.own(1));
        head = SoftmaxHead.of(backend, matrix, null, HeadOptions.defaults());
    }

    @AfterEach
    void close() {
        if (head != null) {
            head.close();
            backend.close();
            buffers.forEach(buffer -> theirs.run(buffer::close));
            assertEquals(0, theirs.openAllocations());
            theirs.close();
        }
        arena.close();
    }

    private DeviceMemory buffer(Object content) {
        MemorySegment source = content instanceof float[] floats
                ? MemorySegment.ofArray(floats)
                : content instanceof short[] shorts
                        ? MemorySegment.ofArray(shorts)
                        : content instanceof double[] doubles
                                ? MemorySegment.ofArray(doubles)
                                : MemorySegment.ofArray((int[]) content);
        DeviceMemory memory = theirs.call(() -> {
            DeviceMemory made = theirs.allocate(source.byteSize(), "a test");
            theirs.upload(source, made, 0);
            theirs.stream().synchronize();
            return made;
        });
        buffers.add(memory);
        return memory;
    }

    private void download(DeviceMemory memory, MemorySegment target) {
        theirs.run(() -> theirs.download(memory, 0, target));
    }

    /** Numbers that every type holds, a stride apart, those between them NaN; the first begins at 1. */
    private float[] numbers() {
        SplittableRandom random = new SplittableRandom(5);
        float[] numbers = new float[1 + STATES * STRIDE];
        for (int i = 0; i < numbers.length; i++) {
            int column = (i + STRIDE - 1) % STRIDE;
            numbers[i] = column < columns && i > 0 ? (random.nextInt(255) - 127) / 128f : Float.NaN;
        }
        return numbers;
    }

    private static Object stored(float[] numbers, DType type) {
        if (type == DType.F32) {
            return numbers;
        }
        short[] stored = new short[numbers.length];
        for (int i = 0; i < stored.length; i++) {
            stored[i] = type == DType.F16
                    ? Float.floatToFloat16(numbers[i])
                    : (short) (Float.floatToRawIntBits(numbers[i]) >>> 16);
        }
        return stored;
    }

    private States onDevice(DeviceMemory memory, DType type) {
        return States.onDevice(memory.address(), STATES, type, theirs.stream().handle())
                .from(1)
                .every(STRIDE);
    }

    private static Request[] requests() {
        Request[] requests = new Request[STATES];
        for (int s = 0; s < STATES; s++) {
            requests[s] = s % 3 == 0
                    ? Request.greedy()
                    : s % 3 == 1 ? Request.sample(Sampling.temperature(0.7), s).step(s) : Request.look();
        }
        return requests;
    }

    @Test
    void answersAreThoseFromTheHost() {
        Request[] wishes = requests();
        for (Request wish : wishes) {
            wish.top(K).probabilities(Probabilities.MODEL);
        }
        Answers expected = Answers.of(STATES);
        float[] numbers = numbers();
        head.answer(States.of(numbers).from(1).every(STRIDE).first(STATES), wishes, expected);
        for (DType type : new DType[] {DType.F32, DType.F16, DType.BF16}) {
            DeviceMemory states = buffer(stored(numbers, type));
            int[] tokens = new int[STATES];
            float[] logits = new float[STATES];
            double[] sums = new double[STATES];
            int[] listTokens = new int[STATES * K];
            float[] listLogits = new float[STATES * K];
            DeviceMemory[] to = {buffer(tokens), buffer(logits), buffer(sums), buffer(listTokens), buffer(listLogits)};
            DeviceAnswers answers = DeviceAnswers.none()
                    .tokens(to[0].address(), to[1].address())
                    .logSumExp(to[2].address())
                    .top(K, to[3].address(), to[4].address());
            head.answer(onDevice(states, type), requests(), answers);
            download(to[0], MemorySegment.ofArray(tokens));
            download(to[1], MemorySegment.ofArray(logits));
            download(to[2], MemorySegment.ofArray(sums));
            download(to[3], MemorySegment.ofArray(listTokens));
            download(to[4], MemorySegment.ofArray(listLogits));
            for (int s = 0; s < STATES; s++) {
                String what = type + ", state " + s;
                assertEquals(s % 3 == 2 ? -1 : expected.token(s), tokens[s], what);
                assertEquals(expected.logSumExp(s), sums[s], 1e-6, what);
                for (int i = 0; i < K; i++) {
                    assertEquals(expected.topToken(s, i), listTokens[s * K + i], what);
                    assertEquals(expected.topLogit(s, i), listLogits[s * K + i], what);
                }
                assertEquals(s % 3 == 0 ? expected.topLogit(s, 0) : logits[s], logits[s], what);
                if (s % 3 == 1) {
                    double probability = logits[s] - sums[s];
                    assertEquals(expected.logProbability(s), probability, 1e-5, what);
                }
            }
            // The same states with their answers on the host, and only the likeliest token of a few left on the device.
            assertArrayEquals(
                    head.greedy(States.of(numbers).from(1).every(STRIDE).first(STATES)),
                    head.greedy(onDevice(states, type)));
            Request[] few = {Request.greedy(), Request.greedy()};
            head.answer(
                    onDevice(states, type).first(2),
                    few,
                    DeviceAnswers.none().top(1, to[0].address(), to[1].address()));
            int[] best = new int[STATES];
            download(to[0], MemorySegment.ofArray(best));
            assertEquals(List.of(expected.topToken(0, 0), expected.topToken(1, 0)), List.of(best[0], best[1]));
            assertEquals(tokens[2], best[2]);
        }
    }

    /** A caller's graph takes the query up, which it could not if the host waited for anything; it answers the states of every run. */
    @Test
    @Tag("emulated")
    void nothingIsWaitedFor() {
        DeviceMemory states = buffer(numbers());
        int[] tokens = new int[STATES];
        DeviceMemory to = buffer(tokens);
        Request[] greedy = new Request[STATES];
        Arrays.fill(greedy, Request.greedy());
        DeviceAnswers answers = DeviceAnswers.none().tokens(to.address(), 0);
        States hidden = onDevice(states, DType.F32);
        head.answer(hidden, greedy, answers);
        float[] others = numbers();
        for (int i = 0; i < others.length; i++) {
            others[i] = -others[i] / 2;
        }
        theirs.run(() -> {
            try (Graph graph = theirs.graph(() -> head.answer(hidden, greedy, answers))) {
                theirs.upload(MemorySegment.ofArray(others), states, 0);
                graph.launch(theirs.stream());
                theirs.stream().synchronize();
            }
        });
        download(to, MemorySegment.ofArray(tokens));
        assertArrayEquals(head.greedy(States.of(others).from(1).every(STRIDE).first(STATES)), tokens);
    }

    @Test
    void aStateWithoutAnAnswerSaysSo() {
        float[] numbers = numbers();
        numbers[1 + 4 * STRIDE + 3] = Float.NaN;
        DeviceMemory states = buffer(numbers);
        int[] tokens = new int[STATES];
        DeviceMemory to = buffer(tokens);
        head.answer(
                onDevice(states, DType.F32), requests(), DeviceAnswers.none().tokens(to.address(), 0));
        download(to, MemorySegment.ofArray(tokens));
        for (int s = 0; s < STATES; s++) {
            assertEquals(s != 4 && s % 3 != 2, tokens[s] >= 0, "state " + s);
        }
        InvalidDataException e =
                assertThrows(InvalidDataException.class, () -> head.greedy(onDevice(states, DType.F32)));
        assertTrue(e.getMessage().contains("state 4"), e.getMessage());
    }

    @Test
    void whatCannotBeLeftOnTheDeviceIsRefused() {
        DeviceMemory states = buffer(numbers());
        DeviceMemory to = buffer(new int[STATES]);
        DeviceAnswers answers = DeviceAnswers.none().tokens(to.address(), 0);
        States hidden = onDevice(states, DType.F32).first(2);
        refused("top-p", hidden, Request.sample(Sampling.temperature(1).withTopP(0.9), 1), answers);
        refused("allowed", hidden, Request.greedy().allow(TokenSet.of(3)), answers);
        refused("allowed", hidden, Request.greedy().ban(TokenSet.of(3)), answers);
        refused("bias", hidden, Request.greedy().bias(3, 1), answers);
        refused("penalty", hidden, Request.greedy().repetitionPenalty(1.2).prompt(3), answers);
        refused("scores", hidden, Request.greedy().score(3), answers);
        refused("list", hidden, Request.greedy().top(3), answers);
        refused("probabilities", hidden, Request.greedy().probabilities(Probabilities.DRAWN), answers);
        Request[] two = {Request.greedy(), Request.greedy()};
        says(
                InvalidOptionException.class,
                "518",
                () -> head.answer(hidden, two, answers.top(518, to.address(), to.address())));
        says(
                InvalidOptionException.class,
                "onDevice",
                () -> head.answer(States.of(new float[2 * columns]), two, answers));
        says(
                InvalidDataException.class,
                "1 requests for 2",
                () -> head.answer(hidden, new Request[] {Request.greedy()}, answers));
        says(
                InvalidDataException.class,
                "Row 1 has no",
                () -> head.answer(hidden, new Request[] {Request.greedy(), null}, answers));
        head.answer(hidden, two, answers);
    }

    private void refused(String what, States hidden, Request request, DeviceAnswers answers) {
        Request[] requests = {Request.greedy(), request};
        says(InvalidOptionException.class, "Row 1", () -> head.answer(hidden, requests, answers));
        says(InvalidOptionException.class, what, () -> head.answer(hidden, requests, answers));
    }

    private static void says(Class<? extends GroupReduceException> type, String part, Runnable query) {
        GroupReduceException e = assertThrows(type, query::run);
        assertTrue(e.getMessage().contains(part), e.getMessage());
    }

    @Test
    @Tag("emulated")
    void memoryThatIsNoneIsRefused() {
        DeviceMemory states = buffer(numbers());
        DeviceMemory few = buffer(new int[STATES - 1]);
        DeviceMemory freed = buffer(new int[STATES]);
        long gone = freed.address();
        theirs.run(freed::close);
        DType f32 = DType.F32;
        says(InvalidDataException.class, "0x0", () -> States.onDevice(0, 1, f32, 0));
        says(InvalidDataException.class, "type F32", () -> States.onDevice(states.address() + 2, 1, f32, 0));
        says(InvalidOptionException.class, "I32", () -> States.onDevice(states.address(), 1, DType.I32, 0));
        says(InvalidOptionException.class, "is 0", () -> States.onDevice(states.address(), 0, f32, 0));
        says(InvalidDataException.class, "is 0", () -> DeviceAnswers.none().tokens(0, 0));
        says(InvalidDataException.class, "multiple of 8", () -> DeviceAnswers.none()
                .logSumExp(4));
        says(InvalidOptionException.class, "k is 0", () -> DeviceAnswers.none().top(0, 4, 4));
        States hidden = onDevice(states, f32);
        says(
                DeviceException.class,
                "the tokens",
                () -> head.answer(hidden, requests(), DeviceAnswers.none().tokens(few.address(), 0)));
        says(
                DeviceException.class,
                "freed",
                () -> head.answer(hidden, requests(), DeviceAnswers.none().tokens(gone, 0)));
        says(DeviceException.class, "the hidden states", () -> head.greedy(hidden.first(STATES + 1)));
        says(InvalidDataException.class, "stride of 39", () -> head.greedy(hidden.every(39)));
        says(DeviceException.class, "cuda:0", () -> head.greedy(States.onDevice(gone, 1, f32, 0)));
        says(
                DeviceException.class,
                "INVALID_HANDLE",
                () -> head.greedy(States.onDevice(states.address(), 1, f32, 12345)));
        try (ComputeBackend plain = new ReferenceBackend();
                SoftmaxHead other = SoftmaxHead.of(plain, matrix, null, HeadOptions.defaults())) {
            says(DeviceException.class, "machine's memory", () -> other.greedy(hidden));
            says(
                    DeviceException.class,
                    "machine's memory",
                    () -> other.answer(hidden, requests(), DeviceAnswers.none().logSumExp(states.address())));
        }
        assertEquals(STATES, head.greedy(hidden).length);
    }
}
