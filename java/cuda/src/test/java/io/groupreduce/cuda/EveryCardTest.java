package io.groupreduce.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.Answers;
import io.groupreduce.GroupReduce;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.Threads;
import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.EmulatedDriver;
import io.groupreduce.error.DeviceException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.function.Consumer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The whole way, from a matrix to answers, on cards of every kind that the kernels are compiled for: the results are those of an H100. */
@Tag("gpu")
@Tag("emulated")
class EveryCardTest {
    private static final int ROWS = 300;
    private static final int COLUMNS = 24;
    private static final int STATES = 19;
    private static final int LONGEST = 5;

    /** A card; shared memory is what a block may have. */
    private record Card(int major, int minor, int multiprocessors, int sharedBytes) {
        void with(CudaLibraries libraries, Runnable work) {
            EmulatedDriver.withComputeCapability(
                    libraries,
                    major,
                    minor,
                    () -> EmulatedDriver.withAttribute(
                            libraries,
                            EmulatedDriver.MULTIPROCESSORS,
                            multiprocessors,
                            () -> EmulatedDriver.withAttribute(
                                    libraries, EmulatedDriver.SHARED_BYTES, sharedBytes, work)));
        }
    }

    private record Told(Answers all, Answers first, double[] logSumExp) {}

    private static final Card H100 = new Card(9, 0, 132, 227 << 10);
    private static final Card[] CARDS = {
        new Card(8, 0, 108, 163 << 10),
        new Card(8, 6, 84, 99 << 10),
        new Card(8, 9, 142, 99 << 10),
        new Card(10, 0, 148, 227 << 10),
        new Card(12, 0, 170, 99 << 10)
    };

    private final CudaLibraries libraries = TestDevice.libraries();
    private final Matrix matrix = Generators.matrix(5, ROWS, COLUMNS, 0.7);
    private final long[] counts = Generators.zipf(6, ROWS, 1e6);
    private final float[] hidden = Generators.powerLaw(7, STATES, COLUMNS, 0.3);

    @Test
    void aCardWithoutRoomForTheHeadSaysSo() {
        try (Arena arena = Arena.ofShared()) {
            onCard(H100, backend -> {
                CompressedMatrix compressed = compress(backend, arena).matrix();
                EmulatedDriver.withMemory(libraries, 36 << 20, () -> {
                    DeviceException e = assertThrows(DeviceException.class, () -> ask(backend, compressed));
                    assertTrue(
                            e.getMessage()
                                    .matches(
                                            "The head of 'seed 5' needs [0-9.]+ MB of memory on the GPU cuda:0, of which 0\\.0"
                                                    + " MB are free; end other programs on the card, .* or use --device cpu\\."),
                            e.getMessage());
                });
                ask(backend, compressed);
            });
        }
    }

    /** 2.9 MB of numbers where 2.1 MB are left beside cuBLAS's workspace: the rows pass through the card in chunks. */
    @Test
    void aCardWithLessMemoryThanTheMatrixCompressesItAllTheSame() {
        Matrix large = Generators.matrix(8, 60_000, 12, 0.7);
        CompressionOptions options =
                CompressionOptions.defaults().withMethod(Method.SVD).withTarget(SizeTarget.ratio(4));
        double[] error = new double[2];
        try (Arena arena = Arena.ofShared()) {
            for (int small = 0; small < 2; small++) {
                long bytes = small == 1 ? 12_000_000 : 1L << 30;
                int at = small;
                EmulatedDriver.withMemory(
                        libraries,
                        bytes,
                        () -> onCard(
                                CARDS[0],
                                backend -> error[at] = GroupReduce.compress(
                                                backend, large, null, null, options, arena, Progress.NONE)
                                        .summary()
                                        .relativeError()));
            }
        }
        assertEquals(error[0], error[1], 1e-7);
    }

    @Test
    void allCardsAgree() {
        try (Arena arena = Arena.ofShared()) {
            CompressionResult[] first = new CompressionResult[1];
            Told[] told = new Told[1];
            onCard(H100, backend -> {
                first[0] = compress(backend, arena);
                told[0] = ask(backend, first[0].matrix());
            });
            for (Card card : CARDS) {
                onCard(card, backend -> {
                    double error = compress(backend, arena).summary().relativeError();
                    assertEquals(first[0].summary().relativeError(), error, 1e-6, card.toString());
                    Told again = ask(backend, first[0].matrix());
                    assertAlike(told[0].all(), again.all(), card.toString());
                    assertAlike(told[0].first(), again.first(), card.toString());
                    assertArrayEquals(told[0].logSumExp(), again.logSumExp(), 1e-5, card.toString());
                });
            }
        }
    }

    private void onCard(Card card, Consumer<ComputeBackend> work) {
        card.with(libraries, () -> {
            try (ComputeBackend backend = new CudaBackendProvider().create(0, Threads.own(1))) {
                assertTrue(backend.description().endsWith(card.major() + "." + card.minor()), backend.description());
                work.accept(backend);
            }
        });
    }

    private CompressionResult compress(ComputeBackend backend, Arena arena) {
        CompressionOptions options = CompressionOptions.paper()
                .withTarget(SizeTarget.ratio(5))
                .withGroups(2)
                .withMinRank(2)
                .withRefineRounds(2);
        return GroupReduce.compress(backend, matrix, counts, null, options, arena, Progress.NONE);
    }

    /** All states together, and one. */
    private Told ask(ComputeBackend backend, CompressedMatrix compressed) {
        try (SoftmaxHead head = SoftmaxHead.of(backend, compressed, null, HeadOptions.defaults())) {
            States all = States.of(hidden);
            return new Told(
                    head.topK(all, LONGEST),
                    head.topK(States.of(Arrays.copyOf(hidden, COLUMNS)), LONGEST),
                    head.logSumExp(all));
        }
    }

    private static void assertAlike(Answers expected, Answers actual, String what) {
        for (int row = 0; row < expected.rows(); row++) {
            for (int place = 0; place < LONGEST; place++) {
                assertEquals(expected.topToken(row, place), actual.topToken(row, place), what);
                float logit = expected.topLogit(row, place);
                assertEquals(logit, actual.topLogit(row, place), 1e-5f * Math.max(1, Math.abs(logit)), what);
            }
        }
    }
}
