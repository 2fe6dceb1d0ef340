package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The backend under test, and what every contract does with it again and again. */
abstract class Contract {
    /** The backend under test with this many threads; closed by the test. */
    protected abstract ComputeBackend backend(int threads);

    /** What is asked about one case; what {@code arena} gives is freed afterwards. */
    interface Comparison {
        void check(CompressionCase c, CompressionWorkspace mine, CompressionWorkspace reference, Arena arena);
    }

    /** Opens each case on two threads of the backend under test, and on the reference. */
    final void compare(Stream<CompressionCase> cases, Comparison comparison) {
        cases.forEach(c -> {
            try (ComputeBackend tested = backend(2);
                    Arena arena = Arena.ofShared();
                    CompressionWorkspace mine = tested.open(c.problem);
                    CompressionWorkspace reference = new ReferenceBackend().open(c.problem)) {
                comparison.check(c, mine, reference, arena);
            }
        });
    }

    /** What a backend makes on one thread it makes on two and on three, bit by bit. */
    final void assertThreadsChangeNoBit(String what, BiFunction<ComputeBackend, Arena, List<?>> work) {
        Object[] first = null;
        for (int threads = 1; threads <= 3; threads++) {
            try (ComputeBackend tested = backend(threads);
                    Arena arena = Arena.ofShared()) {
                Object[] made = work.apply(tested, arena).toArray();
                first = first == null ? made : first;
                assertArrayEquals(first, made, what + " at " + threads + " threads");
            }
        }
    }

    /** All stored bytes of a compressed matrix. */
    static byte[] bytes(CompressedMatrix matrix) {
        return bytes(Stream.concat(
                IntStream.range(0, matrix.groups().size()).mapToObj(matrix::left),
                IntStream.range(0, matrix.bases()).mapToObj(matrix::right)));
    }

    /** All stored bytes of these parts; {@code null} has none. */
    static byte[] bytes(Stream<EncodedMatrix> parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        parts.filter(part -> part != null).forEach(part -> {
            all.writeBytes(part.data().toArray(ValueLayout.JAVA_BYTE));
            if (part.scales() != null) {
                all.writeBytes(part.scales().toArray(ValueLayout.JAVA_BYTE));
            }
        });
        return all.toByteArray();
    }
}
