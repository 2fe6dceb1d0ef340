package io.groupreduce.benchmarks.head;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.LongBuffer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * A dense head by ONNX Runtime: MatMul and TopK of a model file. Inputs and outputs are tensors that are made once for every
 * batch and lie where Java put them.
 */
final class OnnxHead implements Head {
    private final String name;
    private final long bytes;
    private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
    private final OrtSession session;
    private final Map<Batch, Bound> bound = new HashMap<>();
    private final HeadAnswers answers = new HeadAnswers();

    /** The tensors of a batch size. */
    private record Bound(
            OnnxTensor[] hidden,
            OnnxTensor values,
            OnnxTensor tokens,
            FloatBuffer valueBuffer,
            LongBuffer tokenBuffer) {}

    /**
     * Opens a model that {@link OnnxFiles} wrote.
     *
     * @param bytes of its weights
     */
    OnnxHead(String name, Path model, long bytes, int threads) {
        this.name = name;
        this.bytes = bytes;
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setExecutionMode(OrtSession.SessionOptions.ExecutionMode.SEQUENTIAL);
            options.setInterOpNumThreads(1);
            options.setIntraOpNumThreads(threads);
            options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.ALL_OPT);
            session = environment.createSession(model.toString(), options);
        } catch (OrtException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public long bytes() {
        return bytes;
    }

    @Override
    public HeadAnswers answers() {
        return answers;
    }

    @Override
    public void top(Batch batch, int turn) {
        Bound tensors = bound.get(batch);
        try {
            if (tensors == null) {
                tensors = bind(batch);
                bound.put(batch, tensors);
            }
            Map<String, OnnxTensor> inputs = Map.of(OnnxFiles.INPUT, tensors.hidden[batch.index(turn)]);
            Map<String, OnnxTensor> outputs =
                    Map.of(OnnxFiles.VALUES, tensors.values, OnnxFiles.TOKENS, tensors.tokens);
            session.run(inputs, outputs).close();
        } catch (OrtException e) {
            throw new IllegalStateException(e);
        }
        int found = batch.size() * TOP;
        tensors.valueBuffer.get(0, answers.logits, 0, found);
        for (int i = 0; i < found; i++) {
            answers.tokens[i] = (int) tensors.tokenBuffer.get(i);
        }
    }

    private Bound bind(Batch batch) throws OrtException {
        long states = batch.size();
        OnnxTensor[] hidden = new OnnxTensor[batch.hidden().length];
        for (int b = 0; b < hidden.length; b++) {
            FloatBuffer buffer = batch.offHeap()[b]
                    .asByteBuffer()
                    .order(ByteOrder.nativeOrder())
                    .asFloatBuffer();
            hidden[b] = OnnxTensor.createTensor(environment, buffer, new long[] {states, buffer.capacity() / states});
        }
        int found = batch.size() * TOP;
        FloatBuffer values = ByteBuffer.allocateDirect(found * Float.BYTES)
                .order(ByteOrder.nativeOrder())
                .asFloatBuffer();
        LongBuffer tokens = ByteBuffer.allocateDirect(found * Long.BYTES)
                .order(ByteOrder.nativeOrder())
                .asLongBuffer();
        long[] shape = {states, TOP};
        return new Bound(
                hidden,
                OnnxTensor.createTensor(environment, values, shape),
                OnnxTensor.createTensor(environment, tokens, shape),
                values,
                tokens);
    }

    @Override
    public void close() {
        for (Bound tensors : bound.values()) {
            for (OnnxTensor hidden : tensors.hidden) {
                hidden.close();
            }
            tensors.values.close();
            tensors.tokens.close();
        }
        bound.clear();
        try {
            session.close();
        } catch (OrtException e) {
            throw new IllegalStateException(e);
        }
    }
}
