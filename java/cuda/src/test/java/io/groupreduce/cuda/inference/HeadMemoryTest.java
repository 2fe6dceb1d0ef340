package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Pruning;
import io.groupreduce.api.Sampling;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.EmulatedDriver;
import io.groupreduce.cuda.driver.FailingKernel;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.inference.CudaHeadPass.Question;
import io.groupreduce.error.DeviceException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What a session takes on the card, gives back, and does where there is too little. */
@Tag("gpu")
class HeadMemoryTest {
    private static final int STATES = 70;
    private static final Sampling SOME =
            Sampling.temperature(0.8).withTopK(50).withTopP(0.95).withMinP(0.01);

    private final Arena arena = Arena.ofShared();
    private Device device;
    private CompressedMatrix matrix;
    private InferenceProblem problem;
    private long before;

    @BeforeEach
    void open() {
        device = TestDevice.open();
        matrix = TestHeads.small(arena, 7);
        float[] bias = new float[matrix.rows()];
        for (int token = 0; token < bias.length; token++) {
            bias[token] = token % 5 - 2;
        }
        problem = new InferenceProblem(matrix, bias, Pruning.AUTO, 0);
        before = device.openAllocations();
    }

    @AfterEach
    void nothingIsLeft() {
        arena.close();
        if (device != null) {
            assertEquals(before, device.openAllocations(), "allocations that are still open");
        }
    }

    /** What a session says to every kind of query. */
    private final class Answers {
        final int[] tokens;
        final float[] logits;
        final double[] logSumExp;
        final int[] drawn;
        final int[] drawnOfSome;
        final float[] scores;
        final float[] every;
        final float[] rows;

        Answers(InferenceSession session, int states, int k) {
            float[] hidden = new float[states * matrix.columns()];
            SplittableRandom random = new SplittableRandom(states);
            for (int i = 0; i < hidden.length; i++) {
                hidden[i] = (float) random.nextGaussian() / 4;
            }
            tokens = new int[states * k];
            logits = new float[states * k];
            logSumExp = new double[states];
            session.top(hidden, states, k, tokens, logits, logSumExp);
            drawn = new int[states];
            session.sample(hidden, states, Sampling.temperature(1), 5, drawn);
            drawnOfSome = new int[states];
            session.sample(hidden, states, SOME, 5, drawnOfSome);
            scores = new float[states];
            session.score(hidden, states, drawn, scores, new double[states]);
            every = new float[states * matrix.rows()];
            session.logits(hidden, states, MemorySegment.ofArray(every));
            rows = new float[states * matrix.columns()];
            session.rows(drawn, states, rows, 0);
        }

        void assertSame(Answers other) {
            assertArrayEquals(tokens, other.tokens);
            assertArrayEquals(logits, other.logits);
            assertArrayEquals(logSumExp, other.logSumExp);
            assertArrayEquals(drawn, other.drawn);
            assertArrayEquals(drawnOfSome, other.drawnOfSome);
            assertArrayEquals(scores, other.scores);
            assertArrayEquals(every, other.every);
            assertArrayEquals(rows, other.rows);
        }
    }

    @Test
    void queriesReuseTheirMemoryAndRepeatTheirBits() {
        try (InferenceSession session = new CudaInference(device, problem)) {
            Answers many = new Answers(session, STATES, 10);
            Answers few = new Answers(session, 3, 10);
            long warm = device.openAllocations();
            for (int round = 0; round < 3; round++) {
                few.assertSame(new Answers(session, 3, 10));
                many.assertSame(new Answers(session, STATES, 10));
            }
            assertEquals(warm, device.openAllocations());
        }
    }

    @Test
    void closingGivesEverythingBack() {
        CudaInference session = new CudaInference(device, problem);
        new Answers(session, 9, 2);
        assertTrue(device.openAllocations() > before);
        session.close();
        assertEquals(before, device.openAllocations());
        session.close();
    }

    @Test
    @Tag("emulated")
    void aHeadThatDoesNotFitIsRefusedWithItsSize() {
        long needed = CudaInference.bytesNeeded(device.properties(), matrix, true);
        limitMemory(needed);
        try {
            DeviceException e = assertThrows(DeviceException.class, () -> new CudaInference(device, problem));
            String size = String.format("needs %.1f MB", needed / 1e6);
            assertTrue(e.getMessage().contains("'small' " + size), e.getMessage());
            assertTrue(e.getMessage().contains("on the GPU cuda:0"), e.getMessage());
        } finally {
            limitMemory(0);
        }
    }

    @Test
    @Tag("emulated")
    void bytesNeededAreEnough() {
        long needed = CudaInference.bytesNeeded(device.properties(), matrix, true);
        // What is kept free is an eighth of so small a memory; allocations are rounded up.
        limitMemory(used() + needed * 8 / 7 + 8192);
        try (InferenceSession session = new CudaInference(device, problem)) {
            new Answers(session, 1, matrix.rows());
        } finally {
            limitMemory(0);
        }
    }

    @Test
    @Tag("emulated")
    void loadingThatFailsHalfWayLeavesNothing() {
        HeadLayout layout = new HeadLayout(matrix, true, 4);
        limitMemory(used() + layout.bytes() + layout.pieceBytes() / 2);
        try {
            assertThrows(
                    OutOfDeviceMemoryException.class,
                    () -> device.run(() -> new CudaPackedHead(device, layout, matrix, problem.bias())));
        } finally {
            limitMemory(0);
        }
    }

    @Test
    @Tag("emulated")
    void aSessionThatFailsHalfWayLeavesNothing() {
        // The first session loads what the device keeps.
        new CudaInference(device, problem).close();
        long objects = EmulatedDriver.objects(device.libraries());
        for (String kernel : List.of("gr_pack", "gr_rows", "gr_project", "gr_select_sorted")) {
            for (Throwable planted : List.of(new DeviceException("planted"), new OutOfMemoryError("planted"))) {
                FailingKernel.during(device, kernel, planted, () -> {
                    Throwable told = assertThrows(Throwable.class, () -> new CudaInference(device, problem));
                    assertSame(planted, told, kernel);
                });
                assertEquals(before, device.openAllocations(), kernel);
                assertEquals(objects, EmulatedDriver.objects(device.libraries()), kernel);
            }
        }
        try (InferenceSession session = new CudaInference(device, problem)) {
            new Answers(session, 2, 3);
        }
        assertEquals(objects, EmulatedDriver.objects(device.libraries()));
    }

    @Test
    @Tag("emulated")
    void batchesAreCutWhereMemoryIsShort() {
        Answers expected;
        try (InferenceSession session = new CudaInference(device, problem)) {
            expected = new Answers(session, STATES, 300);
        }
        HeadLayout layout = new HeadLayout(matrix, true, 4);
        long head = used() + layout.bytes();
        try (InferenceSession session = new CudaInference(device, problem)) {
            long state = PassBuffers.bytesOfState(layout, Question.top(300, 1));
            limitMemory(head + 30 * state);
            expected.assertSame(new Answers(session, STATES, 300));
            limitMemory(head + state / 2);
            assertThrows(OutOfDeviceMemoryException.class, () -> new Answers(session, STATES, 400));
            limitMemory(0);
            expected.assertSame(new Answers(session, STATES, 300));
        } finally {
            limitMemory(0);
        }
    }

    /** Bytes that are taken on the stand-in device. */
    private long used() {
        return device.call(() -> {
            long[] free = new long[1];
            long[] total = new long[1];
            JCudaDriver.cuMemGetInfo(free, total);
            return total[0] - free[0];
        });
    }

    /** Sets the memory of the stand-in device; 0 for what it has as a rule. */
    @SuppressWarnings("restricted")
    private void limitMemory(long bytes) {
        MemorySegment function =
                device.libraries().driver().find("gr_emulated_memory").orElseThrow();
        try {
            Linker.nativeLinker()
                    .downcallHandle(function, FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG))
                    .invokeExact(bytes);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
