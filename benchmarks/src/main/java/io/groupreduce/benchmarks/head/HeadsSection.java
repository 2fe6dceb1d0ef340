package io.groupreduce.benchmarks.head;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Device;
import io.groupreduce.benchmarks.OpenBlas;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.vector.kernel.ReadBandwidth;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Top-10 without a log-sum-exp: compressed heads against dense ones in OpenBLAS, in ONNX Runtime and in our own kernels. Beside
 * each head, in the same rounds, plain reading of as many bytes.
 */
final class HeadsSection {
    private static final String OPENBLAS = "openblas";
    private static final String ONNX_F32 = "onnx-f32";
    private static final String ONNX_INT8 = "onnx-int8";

    private final HeadArguments options;
    private final OpenBlas blas;
    private final HeadModel model;

    /** Matrices that our own heads answer from, by name, and what they cost in quality. */
    private final Map<String, CompressedMatrix> matrices = new LinkedHashMap<>();

    private final Map<String, String> quality = new LinkedHashMap<>();

    /** Peers by the name of their option, in the order of the columns that compare with them. */
    private final Map<String, Head> peers = new LinkedHashMap<>();

    HeadsSection(HeadArguments options, OpenBlas blas, HeadModel model) {
        this.options = options;
        this.blas = blas;
        this.model = model;
    }

    /** Makes the files that are missing. */
    void prepare() {
        for (HeadSpec spec : options.heads()) {
            HeadFiles.open(options.cache(), model, spec).close();
        }
        for (String peer : List.of(ONNX_F32, ONNX_INT8)) {
            if (options.has(peer)) {
                onnxModel(peer);
            }
        }
        System.out.printf("%nThe files of %s are ready.%n", model.name());
    }

    void run() {
        List<CompressedFile> files = new ArrayList<>();
        try (Arena arena = Arena.ofShared()) {
            for (Codec codec : List.of(Codec.INT8, Codec.INT4)) {
                if (options.has("dense-" + codec.label())) {
                    add(HeadMatrices.dense(arena, model.dense(), codec));
                }
            }
            for (HeadSpec spec : options.heads()) {
                CompressedFile file = HeadFiles.open(options.cache(), model, spec);
                files.add(file);
                add(file.require(spec.toString()));
            }
            for (int threads : options.threads()) {
                measure(threads);
            }
        } finally {
            files.forEach(CompressedFile::close);
        }
    }

    private void add(CompressedMatrix matrix) {
        matrices.put(matrix.name(), matrix);
        quality.put(matrix.name(), new Quality(model).kl(matrix));
    }

    private void measure(int threads) {
        blas.threads(threads);
        try (Backend backend = BackendSelection.select(Device.CPU, threads).backend();
                ReadBandwidth bandwidth = new ReadBandwidth(options.readBytes(), threads);
                Arena arena = Arena.ofShared()) {
            measure(threads, backend, bandwidth, arena);
        }
    }

    private void measure(int threads, Backend backend, ReadBandwidth bandwidth, Arena arena) {
        List<Head> heads = new ArrayList<>();
        peers.clear();
        try {
            openPeers(threads, heads);
            for (CompressedMatrix matrix : matrices.values()) {
                OurHead head = new OurHead(backend, matrix, model.bias(), options.pruning());
                heads.add(head);
                if (matrix.name().startsWith("dense ")) {
                    peers.put(matrix.name(), head);
                }
            }
            System.out.printf("%n## Top-10, %s, %d thread(s)%n%n", model.name(), threads);
            StringBuilder columns = new StringBuilder();
            peers.values()
                    .forEach(peer -> columns.append(" | times as fast as ").append(peer.name()));
            System.out.println("| batch | head | ratio | KL, nats | top-10 as dense F32 | us (least-most) | MB | GB/s"
                    + " | share of reading the same bytes | tokens/s" + columns + " |");
            System.out.println("|---".repeat(10 + peers.size()) + "|");
            for (int states : options.batches(1, 4, 16, 64, 256)) {
                measure(heads, model.queries().batches(arena, states), bandwidth, threads);
            }
        } finally {
            heads.forEach(Head::close);
        }
    }

    /** Opens the peers into the map of them and the list of all heads. */
    private void openPeers(int threads, List<Head> heads) {
        if (options.has(OPENBLAS)) {
            add(OPENBLAS, new BlasDenseHead(blas, model.dense(), model.bias(), threads), heads);
        }
        if (options.has(ONNX_F32)) {
            long bytes = model.dense().bytes();
            add(ONNX_F32, new OnnxHead("dense F32, ONNX Runtime", onnxModel(ONNX_F32), bytes, threads), heads);
        }
        if (options.has(ONNX_INT8)) {
            long rows = model.dense().rows();
            long bytes = rows * model.dense().columns() + rows * Float.BYTES;
            add(ONNX_INT8, new OnnxHead("dense INT8, ONNX Runtime", onnxModel(ONNX_INT8), bytes, threads), heads);
        }
    }

    private void add(String option, Head peer, List<Head> heads) {
        peers.put(option, peer);
        heads.add(peer);
    }

    private Path onnxModel(String peer) {
        return OnnxFiles.model(options.cache(), model.name(), model.dense(), model.bias(), peer.equals(ONNX_INT8));
    }

    private void measure(List<Head> heads, Batch batch, ReadBandwidth bandwidth, int threads) {
        List<Contest.Call> calls = new ArrayList<>();
        heads.forEach(head -> calls.add(turn -> head.top(batch, turn)));
        heads.forEach(head -> calls.add(turn -> bandwidth.read(head.bytes())));
        List<Timing> timings = options.contest(threads, bandwidth).run(calls, options.warmUp());
        heads.forEach(head -> head.top(batch, 0));
        for (int h = 0; h < heads.size(); h++) {
            Head head = heads.get(h);
            Timing timing = timings.get(h);
            Timing reading = timings.get(heads.size() + h);
            StringBuilder line = new StringBuilder(String.format(
                    Locale.ROOT,
                    "| %d | %s | %.1f | %s | %s | %s | %.1f | %.2f | %.2f | %.0f |",
                    batch.size(),
                    head.name(),
                    ratio(head),
                    quality.getOrDefault(head.name(), ""),
                    agreement(head, batch.size()),
                    timing.micros(),
                    head.bytes() / 1e6,
                    head.bytes() / timing.median() / 1e9,
                    timing.times(reading) * head.bytes() / bandwidth.clamp(head.bytes()),
                    batch.size() / timing.median()));
            for (Head peer : peers.values()) {
                line.append(
                        peer == head ? " |" : " " + timing.timesWithSpread(timings.get(heads.indexOf(peer))) + " |");
            }
            System.out.println(line);
        }
    }

    private double ratio(Head head) {
        CompressedMatrix matrix = matrices.get(head.name());
        return (double) model.dense().bytes() / (matrix == null ? head.bytes() : matrix.bytes());
    }

    /** How many of the ten tokens are OpenBLAS's from the dense matrix, over one batch. */
    private String agreement(Head head, int states) {
        Head exact = peers.get(OPENBLAS);
        return exact == null
                ? ""
                : String.format(Locale.ROOT, "%.3f", head.answers().shared(exact.answers(), states));
    }
}
