package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.Pruning;
import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.EmulatedDriver;
import io.groupreduce.cuda.driver.FailingKernel;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.inference.PassBuffers.Shape;
import io.groupreduce.error.DeviceException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.testkit.PlainQuestion;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What a session takes on the card, gives back, and does where there is too little. */
@Tag("gpu")
class HeadMemoryTest {
    private static final int STATES = 70;

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
        problem = new InferenceProblem(matrix, bias, 0, Pruning.AUTO);
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
        final PlainQuestion[] questions;
        final Chosen chosen;
        final float[] every;
        final float[] rows;

        Answers(InferenceSession session, int states, int k) {
            float[] hidden = TestHeads.hidden(states, matrix.columns(), states);
            long[] odd = new long[Math.ceilDiv(matrix.rows(), Long.SIZE)];
            Arrays.fill(odd, 0xAAAAAAAAAAAAAAAAL);
            questions = new PlainQuestion[2 * states];
            int[] from = new int[states + 1];
            int[] tokens = new int[states];
            for (int s = 0; s < states; s++) {
                questions[2 * s] = new PlainQuestion(s, null).list(k).sum(1, 0);
                questions[2 * s + 1] = new PlainQuestion(s, odd).list(k / 3).draw(0.8, s);
                from[s + 1] = s + 1;
                tokens[s] = s * 7 % matrix.rows();
            }
            chosen = new Chosen(from, tokens, new float[states]);
            session.answer(hidden, states, questions, questions.length, chosen);
            every = new float[states * matrix.rows()];
            session.logits(hidden, states, MemorySegment.ofArray(every));
            rows = new float[states * matrix.columns()];
            session.rows(tokens, states, rows, 0);
        }

        void assertSame(Answers other) {
            for (int q = 0; q < questions.length; q++) {
                questions[q].assertSameBits(other.questions[q], "question " + q);
            }
            assertArrayEquals(chosen.logits(), other.chosen.logits());
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
        withMemory(needed, () -> {
            DeviceException e = assertThrows(DeviceException.class, () -> new CudaInference(device, problem));
            String size = String.format("needs %.1f MB", needed / 1e6);
            assertTrue(e.getMessage().contains("'small' " + size), e.getMessage());
            assertTrue(e.getMessage().contains("on the GPU cuda:0"), e.getMessage());
        });
    }

    @Test
    @Tag("emulated")
    void bytesNeededAreEnough() {
        long needed = CudaInference.bytesNeeded(device.properties(), matrix, true);
        // What is kept free is an eighth of so small a memory; allocations are rounded up.
        withMemory(used() + needed * 8 / 7 + 8192, () -> {
            try (InferenceSession session = new CudaInference(device, problem)) {
                new Answers(session, 1, matrix.rows());
            }
        });
    }

    @Test
    @Tag("emulated")
    void loadingThatFailsHalfWayLeavesNothing() {
        HeadLayout layout = new HeadLayout(matrix, true, 4);
        withMemory(
                used() + layout.bytes() + layout.pieceBytes() / 2,
                () -> assertThrows(
                        OutOfDeviceMemoryException.class,
                        () -> device.run(() -> new CudaPackedHead(device, layout, matrix, problem.bias()))));
    }

    @Test
    @Tag("emulated")
    void aSessionThatFailsHalfWayLeavesNothing() {
        // The first session loads what the device keeps.
        new CudaInference(device, problem).close();
        long objects = EmulatedDriver.objects(device.libraries());
        for (String kernel : List.of("gr_pack", "gr_rows", "gr_project", "gr_select_sorted", "gr_deliver")) {
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
            long state = 2 * PassBuffers.bytes(layout, Shape.one(0, 300, false));
            withMemory(head + 30 * state, () -> expected.assertSame(new Answers(session, STATES, 300)));
            withMemory(
                    head + state / 2,
                    () -> assertThrows(OutOfDeviceMemoryException.class, () -> new Answers(session, STATES, 400)));
            expected.assertSame(new Answers(session, STATES, 300));
        }
    }

    private void withMemory(long bytes, Runnable work) {
        EmulatedDriver.withMemory(device.libraries(), bytes, work);
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
}
