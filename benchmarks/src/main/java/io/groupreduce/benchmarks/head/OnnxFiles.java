package io.groupreduce.benchmarks.head;

import io.groupreduce.matrix.Matrix;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Writes a dense head as an ONNX model, in the form that exporters and ONNX Runtime's own quantizer give it: hidden [batch, D]
 * times weights [D, N], then TopK.
 */
final class OnnxFiles {
    static final String INPUT = "hidden";
    static final String VALUES = "values";
    static final String TOKENS = "tokens";

    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final Map<String, Integer> NONE = Map.of();
    private static final int INT8_MAX = 127;

    /** Tensors begin at such multiples, so that they can be mapped. */
    private static final long ALIGNMENT = 1 << 16;

    /** Columns of A that are turned at once: a cache line of them is read from every row. */
    private static final int STRIP = 32;

    private OnnxFiles() {}

    /**
     * The model file of a head; written if it is not there.
     *
     * @param bias length N, or {@code null}
     * @param quantized INT8 weights with a scale a token, hidden states quantized on the fly; otherwise F32
     */
    static Path model(Path folder, String name, Matrix dense, float[] bias, boolean quantized) {
        String stem = "onnx-" + name + (quantized ? "-int8" : "-f32");
        Path model = folder.resolve(stem + ".onnx");
        try {
            Files.createDirectories(folder);
            if (!Files.exists(model)) {
                write(model, folder.resolve(stem + ".bin"), dense, bias, quantized);
            }
            return model;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void write(Path model, Path data, Matrix dense, float[] bias, boolean quantized) throws IOException {
        long rows = dense.rows();
        long columns = dense.columns();
        long weightBytes = rows * columns * (quantized ? 1 : Float.BYTES);
        long scalesAt = aligned(weightBytes);
        long biasAt = aligned(scalesAt + rows * Float.BYTES);
        String file = data.getFileName().toString();
        try (Arena arena = Arena.ofConfined();
                FileChannel channel = FileChannel.open(
                        data,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.READ,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.TRUNCATE_EXISTING)) {
            MemorySegment target = channel.map(FileChannel.MapMode.READ_WRITE, 0, biasAt + rows * Float.BYTES, arena);
            OnnxGraph graph = new OnnxGraph();
            graph.input(INPUT, OnnxGraph.FLOAT, dense.columns());
            if (quantized) {
                float[] scales = scales(dense);
                transposeQuantized(dense, scales, target);
                MemorySegment.copy(scales, 0, target, F32, scalesAt, scales.length);
                graph.external("weights", OnnxGraph.INT8, file, 0, weightBytes, columns, rows);
                graph.external("weight_scale", OnnxGraph.FLOAT, file, scalesAt, rows * Float.BYTES, rows);
                // This order of nodes is what the runtime fuses into one kernel.
                graph.node("DynamicQuantizeLinear", INPUT, "integers scale zero", NONE);
                graph.node("Mul", "scale weight_scale", "scales", NONE);
                graph.node("MatMulInteger", "integers weights zero", "sums", NONE);
                graph.node("Cast", "sums", "products", Map.of("to", OnnxGraph.FLOAT));
                graph.node("Mul", "products scales", "logits", NONE);
            } else {
                transpose(dense, target);
                graph.external("weights", OnnxGraph.FLOAT, file, 0, weightBytes, columns, rows);
                graph.node("MatMul", INPUT + " weights", "logits", NONE);
            }
            String logits = "logits";
            if (bias != null) {
                MemorySegment.copy(bias, 0, target, F32, biasAt, bias.length);
                graph.external("bias", OnnxGraph.FLOAT, file, biasAt, rows * Float.BYTES, rows);
                graph.node("Add", "logits bias", "biased", NONE);
                logits = "biased";
            }
            graph.constant("k", Head.TOP);
            graph.node("TopK", logits + " k", VALUES + " " + TOKENS, Map.of("axis", -1, "largest", 1, "sorted", 1));
            graph.output(VALUES, OnnxGraph.FLOAT, Head.TOP);
            graph.output(TOKENS, OnnxGraph.INT64, Head.TOP);
            Path unfinished = model.resolveSibling(model.getFileName() + ".part");
            Files.write(unfinished, graph.model());
            Files.move(unfinished, model);
        }
    }

    /** Deletes a folder of models. */
    static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder())
                    .forEach(file -> file.toFile().delete());
        }
    }

    private static long aligned(long offset) {
        return (offset + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** The scale of every token: its largest magnitude becomes 127. */
    static float[] scales(Matrix dense) {
        float[] scales = new float[dense.rows()];
        float[] row = new float[dense.columns()];
        for (int i = 0; i < scales.length; i++) {
            dense.readRow(i, row, 0);
            float most = 0;
            for (float value : row) {
                most = Math.max(most, Math.abs(value));
            }
            scales[i] = most / INT8_MAX;
        }
        return scales;
    }

    static byte quantize(float value, float scale) {
        return scale == 0 ? 0 : (byte) Math.max(-INT8_MAX, Math.min(INT8_MAX, (int) Math.rint(value / scale)));
    }

    private static void transpose(Matrix dense, MemorySegment target) {
        int rows = dense.rows();
        float[][] strip = new float[STRIP][rows];
        float[] piece = new float[STRIP];
        for (int first = 0; first < dense.columns(); first += STRIP) {
            int width = Math.min(STRIP, dense.columns() - first);
            for (int i = 0; i < rows; i++) {
                read(dense, i, first, width, piece);
                for (int j = 0; j < width; j++) {
                    strip[j][i] = piece[j];
                }
            }
            for (int j = 0; j < width; j++) {
                MemorySegment.copy(strip[j], 0, target, F32, (long) (first + j) * rows * Float.BYTES, rows);
            }
        }
    }

    private static void transposeQuantized(Matrix dense, float[] scales, MemorySegment target) {
        int rows = dense.rows();
        byte[][] strip = new byte[STRIP][rows];
        float[] piece = new float[STRIP];
        for (int first = 0; first < dense.columns(); first += STRIP) {
            int width = Math.min(STRIP, dense.columns() - first);
            for (int i = 0; i < rows; i++) {
                read(dense, i, first, width, piece);
                for (int j = 0; j < width; j++) {
                    strip[j][i] = quantize(piece[j], scales[i]);
                }
            }
            for (int j = 0; j < width; j++) {
                MemorySegment.copy(strip[j], 0, target, ValueLayout.JAVA_BYTE, (long) (first + j) * rows, rows);
            }
        }
    }

    private static void read(Matrix dense, int row, int first, int width, float[] piece) {
        long at = ((long) row * dense.columns() + first) * Float.BYTES;
        MemorySegment.copy(dense.data(), F32, at, piece, 0, width);
    }
}
