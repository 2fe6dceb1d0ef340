package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.DeviceStatus;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.Threads;
import io.groupreduce.error.DeviceException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.internal.reference.ReferenceBackendProvider;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.BackendProvider;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A card that fails at one call, and at all after it, in front of a processor; both compute as the reference does. */
class RetreatingBackendTest {
    private static final String CARD = "cuda:0";
    private static final String PROCESSOR = "planted";
    private static final String LOST = "The GPU failed while running gr_pass (CUDA_ERROR_ILLEGAL_ADDRESS); report it.";
    private static final List<String> TOLD = List.of("Going on on the CPU: " + LOST);

    private final List<String> told = new ArrayList<>();
    /** What is open. */
    private final List<String> open = new ArrayList<>();

    private String failing;
    private boolean lost;

    private Backend select(Device device, boolean processor) {
        List<BackendProvider> providers = new ArrayList<>(List.of(new Planted("cuda", CARD)));
        if (processor) {
            providers.add(new Planted("cpu", PROCESSOR));
        }
        providers.add(new ReferenceBackendProvider());
        return BackendSelection.choose(providers, device, Threads.own(1), told::add)
                .backend();
    }

    @Test
    void aQueryIsAnsweredByTheProcessorWhereTheCardFails() {
        for (String call : List.of("load", "answer", "logits", "rows")) {
            lost = false;
            told.clear();
            failing = call;
            CompressedMatrix matrix = HeadFixture.matrix("head", 1);
            States hidden = States.of(new float[] {3, -1, 2, 0, 1, 1, -2, 0.5f, 1, 4, -3, 2});
            try (Backend backend = select(Device.AUTO, true);
                    SoftmaxHead head = SoftmaxHead.of(backend, matrix, null, HeadOptions.defaults());
                    EmbeddingTable table = EmbeddingTable.of(backend, matrix);
                    SoftmaxHead plain = SoftmaxHead.of(new ReferenceBackend(), matrix, null, HeadOptions.defaults())) {
                for (int turn = 0; turn < 2; turn++) {
                    assertArrayEquals(all(plain, hidden), all(head, hidden), call);
                    assertArrayEquals(plain.greedy(hidden), head.greedy(hidden), call);
                    float[] row = new float[HeadFixture.COLUMNS];
                    table.row(5, row, 0);
                }
                assertEquals(TOLD, told, call);
                assertEquals(PROCESSOR, backend.name());
                assertEquals(call.equals("load"), head.device().startsWith(PROCESSOR + ": "), head.device());
            }
            assertEquals(List.of(), open, call);
        }
    }

    private static float[] all(SoftmaxHead head, States hidden) {
        float[] logits = new float[HeadFixture.ROWS];
        head.logits(hidden, logits);
        return logits;
    }

    @Test
    void aCompressionBeginsAgainWhereTheCardFails() {
        CompressionOptions options = CompressionOptions.defaults()
                .withMethod(Method.GROUPREDUCE)
                .withGroups(2)
                .withTarget(SizeTarget.bytes(3000));
        for (String call : List.of("open", "accumulate", "decompose", "encodeLeft", "loss")) {
            lost = false;
            told.clear();
            failing = call;
            try (Arena arena = Arena.ofShared();
                    Backend backend = select(Device.AUTO, true)) {
                Matrix matrix = matrix(arena);
                CompressedMatrix expected = GroupReduce.compress(
                                new ReferenceBackend(), matrix, null, null, options, arena, Progress.NONE)
                        .matrix();
                CompressedMatrix found = GroupReduce.compress(
                                backend, matrix, null, null, options, arena, Progress.NONE)
                        .matrix();
                GroupReduce.relativeError(backend, matrix, null, 1, found);
                for (int g = 0; g < expected.groups().size(); g++) {
                    assertEquals(expected.groups().get(g), found.groups().get(g), call);
                    assertEquals(
                            -1, expected.left(g).data().mismatch(found.left(g).data()), call);
                }
                assertEquals(TOLD, told, call);
            }
            assertEquals(List.of(), open, call);
        }
    }

    @Test
    void aCardThatWasAskedForByNameFailsLoudly() {
        failing = "load";
        try (Backend backend = select(Device.cuda(0), true)) {
            assertFails(backend);
        } catch (DeviceException e) {
            assertEquals(LOST, e.getMessage(), "closing a lost card");
        }
        assertEquals(List.of(), told);
        assertEquals(List.of(), open);
    }

    /** The reference backend would take days. */
    @Test
    void whereOnlyTheReferenceIsLeftTheFailureStands() {
        failing = "answer";
        try (Backend backend = select(Device.AUTO, false)) {
            assertFails(backend);
            lost = false;
        }
        assertEquals(List.of(), told);
        assertEquals(List.of(), open);
    }

    @Test
    void nothingIsStartedForABackendThatIsClosed() {
        failing = "load";
        Backend backend = select(Device.AUTO, true);
        backend.close();
        assertFails(backend);
        assertEquals(List.of(), told);
        assertEquals(List.of(), open);
    }

    private static void assertFails(Backend backend) {
        DeviceException e = assertThrows(DeviceException.class, () -> {
            SoftmaxHead head = SoftmaxHead.of(backend, HeadFixture.matrix("head", 1), null, HeadOptions.defaults());
            try {
                head.greedy(States.of(new float[HeadFixture.COLUMNS]));
            } finally {
                // A card that is lost says so here too.
                try {
                    head.close();
                } catch (DeviceException again) {
                    assertEquals(LOST, again.getMessage());
                }
            }
        });
        assertEquals(LOST, e.getMessage());
    }

    private static Matrix matrix(Arena arena) {
        var data = arena.allocate(ValueLayout.JAVA_FLOAT, 60 * 8);
        for (int i = 0; i < 60 * 8; i++) {
            data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) Math.sin(i * i));
        }
        return Matrix.of("planted", DType.F32, 60, 8, data);
    }

    private <T> T planted(Class<T> type, T real, String name) {
        String opened = name + " " + type.getSimpleName();
        open.add(opened);
        return type.cast(
                Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
                    if (method.getName().equals("name")) {
                        return name;
                    }
                    if (method.getName().equals("close")) {
                        open.remove(opened);
                    }
                    lost |= method.getName().equals(failing);
                    if (lost && name.equals(CARD) && !method.getName().equals("description")) {
                        throw new DeviceException(LOST);
                    }
                    try {
                        Object made = method.invoke(real, arguments);
                        return made instanceof CompressionWorkspace workspace
                                ? planted(CompressionWorkspace.class, workspace, name)
                                : made instanceof InferenceSession session
                                        ? planted(InferenceSession.class, session, name)
                                        : made;
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                }));
    }

    private final class Planted implements BackendProvider {
        private final String kind;
        private final String device;

        Planted(String kind, String device) {
            this.kind = kind;
            this.device = device;
        }

        @Override
        public String name() {
            return kind;
        }

        @Override
        public String deviceKind() {
            return kind;
        }

        @Override
        public int preference() {
            return 10;
        }

        @Override
        public List<DeviceStatus> probe() {
            return List.of(new DeviceStatus(device, true, "", 0, List.of()));
        }

        @Override
        public ComputeBackend create(int index, Threads threads) {
            return planted(ComputeBackend.class, new ReferenceBackend(), device);
        }
    }
}
