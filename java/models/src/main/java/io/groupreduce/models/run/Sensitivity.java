package io.groupreduce.models.run;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnx.proto.OnnxMl.TensorShapeProto;
import ai.onnx.proto.OnnxMl.TypeProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import io.groupreduce.api.Metric;
import io.groupreduce.api.Progress;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Model;
import io.groupreduce.format.SafetensorsWriter;
import io.groupreduce.format.Tensor;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.DType;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.Place;
import io.groupreduce.models.text.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;

/**
 * The metric of an encoder's embedding: {@code M = E[J^T J]}, where J says how the embedding of a whole text changes with the vector of one of its
 * tokens. An error e of a row then costs {@code e^T M e}.
 *
 * <p>Every token's vector is moved in one direction k at a time, forwards or backwards by chance: the text's embedding then moves by
 * {@code sum_t s_t J_t e_k}, and with these as the columns of K, {@code E[K^T K] = sum_t J_t^T J_t}, since the signs s_t are independent. So D runs over a text
 * measure all D² numbers.
 */
final class Sensitivity {
    /** Tokens of a sequence: as many signs disturb each other as there are tokens, so short texts tell more for their time. */
    static final int LENGTH = 16;

    /** How far vectors are moved, as a share of their length: far above rounding, and far below where the model is bent. */
    private static final double STEP = 0.002;

    /** Directions of one run. */
    private static final int BATCH = 32;

    private static final long SEED = 20_181_203;

    /** Outputs that are embeddings of whole texts, or of tokens, which are averaged. */
    private static final List<String> OUTPUTS = List.of("sentence_embedding", "last_hidden_state", "token_embeddings");

    private final CollectJob job;
    private final OnnxFile file;
    private final Place table;
    private final Progress progress;
    private final Consumer<String> tell;
    private final int columns;
    private final String output;

    Sensitivity(CollectJob job, OnnxFile file, Place table, Progress progress, Consumer<String> tell) {
        this.job = job;
        this.file = file;
        this.table = table;
        this.progress = progress;
        this.tell = tell;
        columns = Math.toIntExact(table.columns());
        Metric.requireSide(table.tensor(), columns);
        if (table.type() != DataType.FLOAT) {
            throw new InvalidDataException(Wording.file(job.model()) + " computes in " + table.type()
                    + ", which is too coarse to tell how it depends on its embedding; take the model in F32.");
        }
        List<String> outputs = file.model().getGraph().getOutputList().stream()
                .map(ValueInfoProto::getName)
                .toList();
        output = OUTPUTS.stream().filter(outputs::contains).findFirst().orElse(outputs.getFirst());
    }

    /** @throws InvalidDataException if the model has no embedding, or several */
    static Place table(Path model, List<Place> places) {
        List<Place> found = places.stream()
                .filter(place -> place.role() == Model.Role.EMBEDDING)
                .toList();
        if (found.size() != 1) {
            throw new InvalidDataException(Wording.file(model) + " has no output layer and "
                    + (found.isEmpty() ? "no" : "more than one")
                    + " look-up by token ids: nothing of a vocabulary can be"
                    + " collected.");
        }
        return found.getFirst();
    }

    Collected collect(Tokenizer tokenizer) {
        int length = job.length() > 0 ? job.length() : LENGTH;
        Sequences texts =
                new Sequences(tokenizer, job.texts(), length, job.threads(), (step, f) -> progress.at(step, 0));
        int wanted = Math.ceilDiv(job.statesOr(CollectJob.USUAL_TOKENS), texts.length());
        int sequences = (int) Math.min(texts.count(), wanted);
        int bytes = Math.multiplyExact(Double.BYTES, columns * columns);
        byte[] digest =
                job.digest(file.files(), table.output() + " " + output + " " + texts.length() + " " + sequences);
        double[] sum = new double[columns * columns];
        try (StateFile state = new StateFile(job.stateFile(), digest, tell);
                Runner look = Runner.open(
                        file, GraphCut.cut(file.model(), List.of(table.output()), List.of()), job.threads());
                Runner body = body()) {
            int resumed = state.done();
            ByteBuffer record = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
            if (resumed > 0) {
                state.read(record, slot(resumed - 1, bytes));
                record.flip().asDoubleBuffer().get(sum);
            }
            texts.forEach(sequences, resumed, (index, tokens) -> {
                job.requireBelow(table.rows(), tokens);
                add(index, (double) index / sequences, 1.0 / sequences, tokens, look, body, sum);
                record.clear().asDoubleBuffer().put(sum);
                state.add(record, slot(index, bytes));
            });
            write(sum);
            state.remove();
            return new Collected(
                    table.tensor(),
                    sequences * texts.length(),
                    columns,
                    DType.F32.name(),
                    Collected.Kind.METRIC,
                    sequences,
                    texts.length(),
                    texts.tokens(),
                    Double.NaN,
                    resumed);
        }
    }

    /** Sums of even and odd sequences lie apart, so that one is whole at every moment. */
    private static long slot(int index, int bytes) {
        return (long) bytes * (index % 2);
    }

    /** The model behind its embedding. */
    private Runner body() {
        TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
        shape.addDimBuilder();
        shape.addDimBuilder();
        shape.addDimBuilder().setDimValue(columns);
        ValueInfoProto vectors = ValueInfoProto.newBuilder()
                .setName(table.output())
                .setType(TypeProto.newBuilder()
                        .setTensorType(TypeProto.Tensor.newBuilder()
                                .setElemType(table.type().getNumber())
                                .setShape(shape)))
                .build();
        return Runner.open(
                file, GraphCut.cut(file.model(), List.of(output), List.of(vectors)), table.output(), job.threads());
    }

    /** Adds K^T K of one sequence. */
    private void add(int index, double begun, double share, int[] tokens, Runner look, Runner body, double[] sum) {
        float[] rows = look.run(new int[][] {tokens}, table.output()).floats();
        double squares = 0;
        for (float value : rows) {
            squares += (double) value * value;
        }
        float step = (float) (STEP * Math.sqrt(squares / tokens.length));
        if (!(step > 0)) {
            throw new InvalidDataException(Wording.file(job.model()) + " has vectors of zeros for all tokens of a text;"
                    + " what such an embedding is for cannot be measured.");
        }
        Random signs = new Random(SEED + index);
        boolean[] backwards = new boolean[tokens.length];
        for (int t = 0; t < backwards.length; t++) {
            backwards[t] = signs.nextBoolean();
        }
        float[] rest = embeddings(body, tokens, rows, 1);
        int width = rest.length;
        float[] moved = new float[columns * width];
        for (int k = 0; k < columns; k += BATCH) {
            progress.at("running the model", begun + share * k / columns);
            int batch = Math.min(BATCH, columns - k);
            float[] given = new float[batch * rows.length];
            for (int b = 0; b < batch; b++) {
                System.arraycopy(rows, 0, given, b * rows.length, rows.length);
                for (int t = 0; t < tokens.length; t++) {
                    given[b * rows.length + t * columns + k + b] += backwards[t] ? -step : step;
                }
            }
            float[] after = embeddings(body, tokens, given, batch);
            for (int i = 0; i < batch * width; i++) {
                moved[k * width + i] = (after[i] - rest[i % width]) / step;
            }
        }
        for (int p = 0; p < columns; p++) {
            for (int q = 0; q <= p; q++) {
                double product = 0;
                for (int o = 0; o < width; o++) {
                    product += (double) moved[p * width + o] * moved[q * width + o];
                }
                sum[p * columns + q] += product;
                if (p != q) {
                    sum[q * columns + p] += product;
                }
            }
        }
    }

    /** Embeddings of texts, of length 1: what the model gives for each, or the mean of what it gives for their tokens. */
    private float[] embeddings(Runner body, int[] tokens, float[] given, int batch) {
        int[][] repeated = new int[batch][];
        Arrays.fill(repeated, tokens);
        Runner.Values values = body.run(repeated, given, List.of(output)).getFirst();
        int width = values.columns();
        int each = values.floats().length / batch / Math.max(1, width);
        if (width == 0 || each != 1 && each != tokens.length) {
            throw new InvalidDataException(Wording.file(job.model()) + ": the output " + Wording.quoted(output)
                    + " has shape " + Wording.shape(values.shape()) + " for " + batch + " texts of " + tokens.length
                    + " tokens; numbers for each text or each token are needed.");
        }
        if (width == table.rows()) {
            throw new InvalidDataException(Wording.file(job.model()) + ": the output " + Wording.quoted(output)
                    + " has a number for each of the " + width
                    + " tokens, but no product that makes them of hidden states was"
                    + " found; 'groupreduce inspect' says what was.");
        }
        float[] embeddings = new float[batch * width];
        double[] mean = new double[width];
        for (int b = 0; b < batch; b++) {
            Arrays.fill(mean, 0);
            for (int i = 0; i < each * width; i++) {
                mean[i % width] += values.floats()[b * each * width + i];
            }
            double norm =
                    Math.sqrt(Arrays.stream(mean).map(value -> value * value).sum());
            if (!(norm > 0 && norm < Double.POSITIVE_INFINITY)) {
                throw new InvalidDataException(Wording.file(job.model()) + ": the output " + Wording.quoted(output)
                        + " is zero or not finite; what its embedding is for cannot be measured.");
            }
            for (int o = 0; o < width; o++) {
                embeddings[b * width + o] = (float) (mean[o] / norm);
            }
        }
        return embeddings;
    }

    /** Scaled to a mean of 1 on the diagonal: only its directions matter. */
    private void write(double[] sum) {
        double trace = 0;
        for (int i = 0; i < columns; i++) {
            trace += sum[i * columns + i];
        }
        if (!(trace > 0)) {
            throw new InvalidDataException(Wording.file(job.model()) + ": the output " + Wording.quoted(output)
                    + " does not depend on the embedding " + Wording.quoted(table.tensor())
                    + "; nothing can be measured.");
        }
        ByteBuffer metric = ByteBuffer.allocate(Float.BYTES * sum.length).order(ByteOrder.LITTLE_ENDIAN);
        for (double value : sum) {
            metric.putFloat((float) (value * columns / trace));
        }
        SafetensorsWriter.write(
                job.output(),
                List.of(new Tensor(
                        "metric", DType.F32, new long[] {columns, columns}, MemorySegment.ofArray(metric.array()))),
                Map.of());
    }
}
