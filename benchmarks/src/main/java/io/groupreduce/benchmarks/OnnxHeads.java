package io.groupreduce.benchmarks;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.google.protobuf.ByteString;
import io.groupreduce.BackendSelection;
import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Device;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.Threads;
import io.groupreduce.format.CompressedEntry;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.internal.compress.MetricRoot;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.models.export.OnnxExport;
import io.groupreduce.models.rounding.EvenBlocks;
import io.groupreduce.models.rounding.MetricRounding;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Output layers in ONNX Runtime: ours as they are exported, MatMulNBits of 4 and 8 bits, and dense, on the softmax of a model as {@link QualityModel} takes
 * it. Ours may learn from the first half of its hidden states; all are judged on the second. One thread, one state a run, all layers in turn in every round.
 */
public final class OnnxHeads {
    private static final double[] RATIOS = {6.6, 8, 10, 15, 26};

    private static final Parallel THREADS =
            (tasks, task) -> IntStream.range(0, tasks).parallel().forEach(task);

    private static final int MOST_STATES = 2000;

    private static final int BATCH = 50;

    /** Runs of a layer in one turn. */
    private static final int RUNS = 5;

    private record Head(String name, long bytes, OrtSession session, double[] micros) {}

    private final Matrix dense;
    private final float[] rows;
    private final float[] bias;
    private final Path folder;
    private final int rounds;
    private final List<Head> heads = new ArrayList<>();

    private OnnxHeads(QualityModel model, Path folder, int rounds) {
        dense = model.dense();
        rows = new float[dense.rows() * dense.columns()];
        dense.readRows(0, dense.rows(), rows, 0);
        bias = model.known().bias() == null
                ? new float[dense.rows()]
                : model.known().bias();
        this.folder = folder;
        this.rounds = rounds;
    }

    /** FOLDER [--quick]. */
    public static void main(String[] arguments) throws Exception {
        boolean quick = arguments.length > 1 && arguments[1].equals("--quick");
        Path folder = Files.createTempDirectory("onnx-heads");
        try (QualityModel model = QualityModel.open(Path.of(arguments[0]), quick)) {
            OnnxHeads all = new OnnxHeads(model, folder, quick ? 1 : 200);
            all.addPeers(model);
            all.addOurs(model, quick ? new double[] {8} : RATIOS);
            all.time(model.judged().hidden());
            all.print(model.judged().hidden());
        } finally {
            try (var files = Files.list(folder)) {
                for (Path file : files.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(folder);
        }
    }

    private void addPeers(QualityModel model) throws IOException, OrtException {
        float[] turned = new float[rows.length];
        for (int i = 0; i < dense.rows(); i++) {
            for (int j = 0; j < dense.columns(); j++) {
                turned[j * dense.rows() + i] = rows[i * dense.columns() + j];
            }
        }
        GraphProto.Builder graph = graph().addInitializer(
                        tensor("W", DataType.FLOAT, bytes(turned), dense.columns(), dense.rows()))
                .addNode(node("MatMul", "products", "h", "W"))
                .addNode(node("Add", "logits", "products", "bias"));
        add("dense", save("dense", graph));
        addRounded("INT8, blocks of 32, to nearest", 8, 32, null);
        addRounded("INT4, blocks of 32, to nearest", 4, 32, null);
        addRounded("INT4, blocks of 128, to nearest", 4, 128, null);
        Metric metric =
                MetricRoot.hiddenMoment(new DenseAlgebra(THREADS), model.known().hidden());
        addRounded("INT4, blocks of 32, under the metric", 4, 32, metric);
        addRounded("INT4, blocks of 128, under the metric", 4, 128, metric);
    }

    private void addRounded(String name, int bits, int block, Metric metric) throws IOException, OrtException {
        int columns = dense.columns();
        int blocks = Math.ceilDiv(columns, block);
        byte[] codes = new byte[dense.rows() * blocks * block * bits / 8];
        float[] scales = new float[dense.rows() * blocks];
        EvenBlocks.Store store = (row, b, scale, values, from) -> {
            scales[row * blocks + b] = scale;
            int first = (row * blocks + b) * block;
            for (int j = 0; j < block; j++) {
                int code = values[from + j] + (1 << bits - 1);
                codes[(first + j) * bits / 8] |= (byte) (code << (first + j) * bits % 8);
            }
        };
        if (metric == null) {
            for (int row = 0; row < dense.rows(); row++) {
                roundToNearest(row, bits, block, store);
            }
        } else {
            MetricRounding.of(metric, block, THREADS)
                    .round(
                            dense::readRows,
                            dense.rows(),
                            new EvenBlocks(bits, block, columns, scale -> scale, store),
                            THREADS);
        }
        NodeProto.Builder product = node("MatMulNBits", "logits", "h", "codes", "scales", "", "", "bias")
                .setDomain("com.microsoft");
        Map.of("K", columns, "N", dense.rows(), "bits", bits, "block_size", block, "accuracy_level", 4)
                .forEach((key, value) -> product.addAttribute(AttributeProto.newBuilder()
                        .setName(key)
                        .setType(AttributeProto.AttributeType.INT)
                        .setI(value)));
        GraphProto.Builder graph = graph().addInitializer(
                        tensor("codes", DataType.UINT8, codes, dense.rows(), blocks, block * bits / 8))
                .addInitializer(tensor("scales", DataType.FLOAT, bytes(scales), scales.length))
                .addNode(product);
        add(name, save("peer" + heads.size(), graph));
    }

    /** As quantisers of ONNX models do it: the number of largest magnitude decides the scale. */
    private void roundToNearest(int row, int bits, int block, EvenBlocks.Store store) {
        int columns = dense.columns();
        int most = 1 << bits - 1;
        byte[] values = new byte[block];
        for (int b = 0; b * block < columns; b++) {
            int from = row * columns + b * block;
            int count = Math.min(block, columns - b * block);
            float largest = 0;
            for (int j = from; j < from + count; j++) {
                largest = Math.abs(rows[j]) > Math.abs(largest) ? rows[j] : largest;
            }
            float scale = -largest / most;
            Arrays.fill(values, (byte) 0);
            for (int j = 0; j < count && scale != 0; j++) {
                values[j] = (byte) Math.clamp((int) Math.rint(rows[from + j] / scale), -most, most - 1);
            }
            store.block(row, b, scale, values, 0);
        }
    }

    private void addOurs(QualityModel model, double[] ratios) throws IOException, OrtException {
        try (Backend backend = BackendSelection.select(
                        Device.CPU, Threads.own(Runtime.getRuntime().availableProcessors()))
                .backend()) {
            for (double ratio : ratios) {
                Path file = folder.resolve("ours" + ratio + ".safetensors");
                try (Arena arena = Arena.ofShared()) {
                    CompressionOptions options = CompressionOptions.defaults().withTarget(SizeTarget.ratio(ratio));
                    CompressionResult result = GroupReduce.compress(
                            backend, dense, model.counts(), null, model.known(), options, arena, Progress.NONE);
                    CompressedFile.write(
                            file,
                            List.of(new CompressedEntry(result.matrix().named("W"), Map.of())),
                            List.of(),
                            Map.of(),
                            Map.of());
                }
                Path written = folder.resolve("ours" + ratio + ".onnx");
                try (CompressedFile compressed = CompressedFile.open(file);
                        OnnxExport export = new OnnxExport(compressed, folder.resolve("dense.onnx"))) {
                    export.write(written, null);
                }
                add("exported from a file of ratio " + ratio, written);
            }
        }
    }

    private GraphProto.Builder graph() {
        return GraphProto.newBuilder()
                .setName("head")
                .addInput(value("h", dense.columns()))
                .addOutput(value("logits", dense.rows()))
                .addInitializer(tensor("bias", DataType.FLOAT, bytes(bias), bias.length));
    }

    private static ValueInfoProto value(String name, int side) {
        TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
        shape.addDimBuilder().setDimParam("states");
        shape.addDimBuilder().setDimValue(side);
        TypeProto.Tensor type = TypeProto.Tensor.newBuilder()
                .setElemType(DataType.FLOAT.getNumber())
                .setShape(shape)
                .build();
        return ValueInfoProto.newBuilder()
                .setName(name)
                .setType(TypeProto.newBuilder().setTensorType(type))
                .build();
    }

    private static NodeProto.Builder node(String operator, String output, String... inputs) {
        return NodeProto.newBuilder().setOpType(operator).addOutput(output).addAllInput(List.of(inputs));
    }

    private static TensorProto tensor(String name, DataType type, byte[] data, long... shape) {
        TensorProto.Builder tensor = TensorProto.newBuilder()
                .setName(name)
                .setDataType(type.getNumber())
                .setRawData(ByteString.copyFrom(data));
        Arrays.stream(shape).forEach(tensor::addDims);
        return tensor.build();
    }

    private static byte[] bytes(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return bytes.array();
    }

    private Path save(String name, GraphProto.Builder graph) throws IOException {
        ModelProto model = ModelProto.newBuilder()
                .setIrVersion(8)
                .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(17))
                .addOpsetImport(OperatorSetIdProto.newBuilder()
                        .setDomain("com.microsoft")
                        .setVersion(1))
                .setGraph(graph)
                .build();
        return Files.write(folder.resolve(name + ".onnx"), model.toByteArray());
    }

    private void add(String name, Path file) throws IOException, OrtException {
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(1);
            OrtSession session = OrtEnvironment.getEnvironment().createSession(file.toString(), options);
            heads.add(new Head(name, Files.size(file), session, new double[rounds]));
        }
    }

    private void time(Matrix hidden) throws OrtException {
        float[] state = new float[dense.columns()];
        hidden.readRow(0, state, 0);
        try (OnnxTensor input = OnnxTensor.createTensor(
                OrtEnvironment.getEnvironment(), FloatBuffer.wrap(state), new long[] {1, state.length})) {
            for (int round = -rounds / 10; round < rounds; round++) {
                for (Head head : heads) {
                    // The first run brings its numbers to the cache, as the layer's own run before would have.
                    head.session().run(Map.of("h", input)).close();
                    long begun = System.nanoTime();
                    for (int run = 0; run < RUNS; run++) {
                        head.session().run(Map.of("h", input)).close();
                    }
                    if (round >= 0) {
                        head.micros()[round] = (System.nanoTime() - begun) / 1e3 / RUNS;
                    }
                }
            }
        }
    }

    private void print(Matrix hidden) throws OrtException {
        System.out.println(
                "| output layer | file, kB | time, us | 10 % to 90 % | KL, nats | most likely token the same |");
        System.out.println("|---|---|---|---|---|---|");
        int count = Math.min(hidden.rows(), MOST_STATES) / BATCH * BATCH;
        double[][] sums = new double[heads.size()][2];
        for (int from = 0; from < count; from += BATCH) {
            float[] states = new float[BATCH * dense.columns()];
            for (int t = 0; t < BATCH; t++) {
                hidden.readRow((long) (from + t) * hidden.rows() / count, states, t * dense.columns());
            }
            float[] own = logits(heads.getFirst(), states);
            for (int h = 0; h < heads.size(); h++) {
                float[] other = logits(heads.get(h), states);
                for (int t = 0; t < BATCH; t++) {
                    compare(own, other, t * dense.rows(), sums[h]);
                }
            }
        }
        for (int h = 0; h < heads.size(); h++) {
            Head head = heads.get(h);
            Arrays.sort(head.micros());
            System.out.printf(
                    "| %s | %.0f | %.1f | %.1f to %.1f | %.5f | %.2f %% |%n",
                    head.name(),
                    head.bytes() / 1e3,
                    head.micros()[rounds / 2],
                    head.micros()[rounds / 10],
                    head.micros()[rounds * 9 / 10],
                    sums[h][0] / count,
                    100 * sums[h][1] / count);
            head.session().close();
        }
    }

    private float[] logits(Head head, float[] states) throws OrtException {
        try (OnnxTensor input = OnnxTensor.createTensor(
                        OrtEnvironment.getEnvironment(), FloatBuffer.wrap(states), new long[] {BATCH, dense.columns()
                        });
                OrtSession.Result result = head.session().run(Map.of("h", input))) {
            FloatBuffer logits = ((OnnxTensor) result.get(0)).getFloatBuffer();
            float[] values = new float[logits.remaining()];
            logits.get(values);
            return values;
        }
    }

    private void compare(float[] own, float[] other, int from, double[] sums) {
        double ownSum = 0;
        double otherSum = 0;
        int best = from;
        int otherBest = from;
        for (int i = from; i < from + dense.rows(); i++) {
            best = own[i] > own[best] ? i : best;
            otherBest = other[i] > other[otherBest] ? i : otherBest;
        }
        for (int i = from; i < from + dense.rows(); i++) {
            ownSum += Math.exp(own[i] - own[best]);
            otherSum += Math.exp(other[i] - other[otherBest]);
        }
        double shift = own[best] + Math.log(ownSum) - other[otherBest] - Math.log(otherSum);
        for (int i = from; i < from + dense.rows(); i++) {
            sums[0] += Math.exp(own[i] - own[best]) / ownSum * (own[i] - other[i] - shift);
        }
        sums[1] += best == otherBest ? 1 : 0;
    }
}
