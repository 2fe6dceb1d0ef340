package io.groupreduce.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.Threads;
import io.groupreduce.cuda.driver.CudaLibraries;
import io.groupreduce.cuda.driver.EmulatedDriver;
import io.groupreduce.error.DeviceException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.testkit.SyntheticMatrix;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jcuda.driver.CUresult;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A card that is lost, short of memory, held by others or that refuses the kernels, at one call after the other: one sentence says so, the
 * processor goes on where nobody asked for the card by name, and the driver holds nothing afterwards.
 */
@Tag("emulated")
class CardFailureTest {
    private static final int ROWS = 300;
    private static final int COLUMNS = 16;
    private static final CompressionOptions OPTIONS =
            CompressionOptions.defaults().withTarget(SizeTarget.bytes(6000));

    /** A way to fail at the nth call that can. */
    private interface Fault {
        void during(int nth, Runnable work);
    }

    private final CudaLibraries libraries = TestDevice.libraries();
    private final List<String> told = new ArrayList<>();
    private final Arena arena = Arena.ofShared();
    private Matrix matrix;
    private States states;
    private CompressedMatrix compressed;

    @BeforeEach
    void open() {
        TestDevice.closeShared();
        float[] numbers = new float[ROWS * COLUMNS];
        new SyntheticMatrix(3, COLUMNS, 0.5).next(numbers, ROWS);
        matrix = Matrix.of("head", numbers, ROWS, COLUMNS);
        states = States.of(Arrays.copyOf(numbers, 3 * COLUMNS));
        try (Backend processor = BackendSelection.select(Device.CPU, 1).backend()) {
            compressed = compress(processor);
        }
    }

    @AfterEach
    void close() {
        arena.close();
    }

    private CompressedMatrix compress(Backend backend) {
        return GroupReduce.compress(backend, matrix, null, null, OPTIONS, arena, Progress.NONE)
                .matrix();
    }

    private int[] query(Backend backend) {
        try (SoftmaxHead head = SoftmaxHead.of(backend, compressed, null, HeadOptions.defaults())) {
            return head.greedy(states);
        }
    }

    private Backend select(Device device) {
        return BackendSelection.select(device, Threads.own(1), told::add).backend();
    }

    /** Lets it fail at these calls; at so many of them it does. */
    private void assertGoesOn(Fault fault, int[] calls, int atLeast, String reason) {
        long before = EmulatedDriver.objects(libraries);
        int[] expected;
        try (Backend processor = select(Device.CPU)) {
            expected = query(processor);
        }
        int failures = 0;
        for (int nth : calls) {
            told.clear();
            fault.during(nth, () -> {
                try (Backend backend = select(Device.AUTO)) {
                    assertArrayEquals(expected, query(backend));
                    assertArrayEquals(expected, query(backend));
                }
            });
            assertTold(reason, "call " + nth);
            assertEquals(before, EmulatedDriver.objects(libraries), "left in the driver after call " + nth);
            failures += told.size();
        }
        assertTrue(failures >= atLeast, failures + " failures");
        // Who asked for the card is told, not helped.
        fault.during(1, () -> {
            DeviceException e = assertThrows(DeviceException.class, () -> {
                try (Backend backend = select(Device.cuda(0))) {
                    query(backend);
                }
            });
            assertSentence(e.getMessage(), reason);
        });
        assertEquals(before, EmulatedDriver.objects(libraries), "left in the driver of a card asked for by name");
    }

    private void assertTold(String reason, String what) {
        assertTrue(told.size() <= 1, what + ": " + told);
        told.forEach(sentence -> {
            assertTrue(sentence.startsWith("Going on on the CPU: "), sentence);
            assertSentence(sentence, reason);
        });
    }

    private static void assertSentence(String sentence, String reason) {
        assertTrue(sentence.contains(reason), sentence);
        assertTrue(sentence.matches("[^\\n]*[^.]\\.") && !sentence.contains(". "), sentence);
    }

    @Test
    void aLostCard() {
        int[] codes = {
            CUresult.CUDA_ERROR_ILLEGAL_ADDRESS,
            CUresult.CUDA_ERROR_LAUNCH_FAILED,
            CUresult.CUDA_ERROR_ECC_UNCORRECTABLE,
            CUresult.CUDA_ERROR_UNKNOWN
        };
        for (int code : codes) {
            int[] calls = code == codes[0] ? new int[] {1, 6, 11, 16, 21, 26} : new int[] {3};
            assertGoesOn(
                    (nth, work) -> EmulatedDriver.losing(libraries, nth, code, work),
                    calls,
                    calls.length,
                    CUresult.stringFor(code));
        }
    }

    /** A query that finds room for a part of its batch is answered in parts, and nothing is said. */
    @Test
    void aCardThatIsShortOfMemory() {
        assertGoesOn(
                (nth, work) -> EmulatedDriver.refusing(
                        libraries, "cuMemAlloc_v2", nth, CUresult.CUDA_ERROR_OUT_OF_MEMORY, work),
                new int[] {1, 2, 3, 4},
                2,
                "There is no room on the GPU cuda:0 for ");
    }

    /** The check of a head's size has passed by then. */
    @Test
    void memoryThatAnotherProcessTakesMeanwhile() {
        long before = EmulatedDriver.objects(libraries);
        EmulatedDriver.whileAnotherTakes(libraries, Long.MAX_VALUE / 2, () -> {
            try (Backend backend = select(Device.AUTO)) {
                query(backend);
            }
        });
        assertEquals(1, told.size());
        assertTold("There is no room on the GPU cuda:0 for ", "memory");
        assertEquals(before, EmulatedDriver.objects(libraries));
    }

    @Test
    void kernelsThatTheDriverRefuses() {
        int[] codes = {
            CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU,
            CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
            CUresult.CUDA_ERROR_INVALID_PTX,
            CUresult.CUDA_ERROR_JIT_COMPILER_NOT_FOUND
        };
        for (int code : codes) {
            long before = EmulatedDriver.objects(libraries);
            told.clear();
            EmulatedDriver.refusing(libraries, "cuModuleLoadData", 1, code, () -> {
                try (Backend backend = select(Device.AUTO)) {
                    query(backend);
                }
            });
            assertEquals(1, told.size());
            assertTold(CUresult.stringFor(code), "kernels");
            assertEquals(before, EmulatedDriver.objects(libraries));
        }
    }

    @Test
    void aCardThatAnotherProcessHoldsExclusively() {
        int code = CUresult.CUDA_ERROR_DEVICE_UNAVAILABLE;
        EmulatedDriver.refusing(libraries, "cuDevicePrimaryCtxRetain", 1, code, () -> {
            BackendSelection selection = BackendSelection.select(Device.AUTO, Threads.own(1), told::add);
            try (Backend backend = selection.backend()) {
                assertEquals("vector", backend.name());
                DeviceStatus card = selection.others().get(0);
                assertTrue(card.reason().endsWith("wait for it or take another card"), card.reason());
                query(backend);
            }
        });
        EmulatedDriver.refusing(libraries, "cuDevicePrimaryCtxRetain", 1, code, () -> {
            DeviceException e = assertThrows(DeviceException.class, () -> select(Device.CUDA));
            assertSentence(e.getMessage(), "another process holds the card exclusively");
        });
        assertEquals(List.of(), told);
    }

    /** The whole step begins again, so the result is the processor's to the last bit. */
    @Test
    void aCompressionThatACardFails() {
        long before = EmulatedDriver.objects(libraries);
        for (int nth : new int[] {1, 12, 30}) {
            told.clear();
            EmulatedDriver.losing(libraries, nth, CUresult.CUDA_ERROR_LAUNCH_FAILED, () -> {
                try (Backend backend = select(Device.AUTO)) {
                    CompressedMatrix found = compress(backend);
                    for (int g = 0; g < compressed.groups().size(); g++) {
                        assertEquals(compressed.groups().get(g), found.groups().get(g));
                    }
                }
            });
            assertEquals(1, told.size(), "call " + nth);
            assertTold("CUDA_ERROR_LAUNCH_FAILED", "call " + nth);
            assertEquals(before, EmulatedDriver.objects(libraries), "call " + nth);
        }
    }
}
