package io.groupreduce.benchmarks.head;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.benchmarks.OpenBlas;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.vector.kernel.ReadBandwidth;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;

/**
 * How near the kernels come to the read bandwidth: one group, one basis, random left factors of the largest size, greedy and
 * top-10 without a log-sum-exp. Beside it, in the same rounds with the same threads, plain reading of as many bytes, of more than
 * the caches hold, and OpenBLAS's sasum over as many bytes.
 */
final class KernelSection {
    private final HeadArguments options;
    private final OpenBlas blas;

    KernelSection(HeadArguments options, OpenBlas blas) {
        this.options = options;
        this.blas = blas;
    }

    void run() {
        HeadShape size = options.sizes().get(options.sizes().size() - 1);
        System.out.printf("%n## Kernels and read bandwidth, %s%n%n", size);
        System.out.printf(
                "| threads | batch | k | codec | top-10 us (least-most) | MB | GB/s | read, same bytes GB/s"
                        + " | read, %d MB GB/s | sasum GB/s | share of reading the same bytes | share of reading %1$d MB"
                        + " | greedy us (least-most) | greedy, share of reading the same bytes |%n",
                options.readBytes() >> 20);
        System.out.println("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        for (int threads : options.threads()) {
            blas.threads(threads);
            try (Backend backend = BackendSelection.select(Device.CPU, threads).backend();
                    ReadBandwidth bandwidth = new ReadBandwidth(options.readBytes(), threads)) {
                for (int rank : options.ranks()) {
                    for (Codec codec : options.codecs()) {
                        measure(backend, bandwidth, threads, size, rank, codec);
                    }
                }
            }
        }
    }

    private void measure(Backend backend, ReadBandwidth bandwidth, int threads, HeadShape size, int rank, Codec codec) {
        try (Arena arena = Arena.ofShared()) {
            CompressedMatrix matrix = HeadMatrices.plain(arena, size, rank, codec);
            Queries queries = HeadMatrices.queries(size);
            try (OurHead head = new OurHead(backend, matrix, null, options.pruning())) {
                for (int states : options.batches(1)) {
                    Batch batch = queries.batches(arena, states);
                    long bytes = bandwidth.clamp(head.bytes());
                    MemorySegment part = bandwidth.buffer();
                    List<Timing> timings = options.contest(threads, bandwidth)
                            .run(
                                    List.of(
                                            turn -> head.top(batch, turn),
                                            turn -> bandwidth.read(bytes),
                                            turn -> bandwidth.read(
                                                    bandwidth.buffer().byteSize()),
                                            turn -> blas.sumOfMagnitudes((int) (bytes / Float.BYTES), part),
                                            turn -> head.greedy(batch, turn)),
                                    options.warmUp());
                    print(
                            threads,
                            states,
                            rank,
                            codec,
                            head.bytes(),
                            bytes,
                            bandwidth.buffer().byteSize(),
                            timings);
                }
            }
        }
    }

    private static void print(
            int threads, int states, int rank, Codec codec, long bytes, long same, long whole, List<Timing> timings) {
        double speed = bytes / timings.get(0).median();
        double reading = same / timings.get(1).median();
        double readingWhole = whole / timings.get(2).median();
        System.out.printf(
                Locale.ROOT,
                "| %d | %d | %d | %s | %s | %.1f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %s | %.2f |%n",
                threads,
                states,
                rank,
                codec,
                timings.get(0).micros(),
                bytes / 1e6,
                speed / 1e9,
                reading / 1e9,
                readingWhole / 1e9,
                same / timings.get(3).median() / 1e9,
                timings.get(0).times(timings.get(1)) * bytes / same,
                timings.get(0).times(timings.get(2)) * bytes / whole,
                timings.get(4).micros(),
                timings.get(4).times(timings.get(1)) * bytes / same);
    }
}
