package io.groupreduce.examples;

import io.groupreduce.GroupReduce;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.ModelFile;
import io.groupreduce.api.Progress;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * An engine that reads GGUF: tokens go in by rows of the model's own table, whatever type it has, and come out of the compressed head, which
 * takes the place of the largest product of a step. With {@code groupreduce-models} among its jars the library reads such files.
 */
final class GgufEngine implements AutoCloseable {
    private static final String EMBEDDING = "token_embd.weight";
    private static final int LAYERS = 2;

    private final ModelFile model;
    private final Matrix table;
    private final SoftmaxHead head;
    private final Transformer body;

    private GgufEngine(ModelFile model, SoftmaxHead head) {
        this.model = model;
        this.head = head;
        table = model.matrix(EMBEDDING);
        // An engine makes its layers of the file's other tensors.
        body = Transformer.random(head.hiddenSize(), LAYERS, new SplittableRandom(1));
    }

    /** Compresses what makes the model's logits, once: {@code groupreduce compress MODEL.gguf --tensor NAME -o OUT}. */
    static void compressHead(Path gguf, CompressionOptions options, Backend backend, Path output) {
        String name;
        try (ModelFile model = GroupReduce.openModel(gguf)) {
            name = model.outputMatrix();
        }
        CompressionJob job =
                CompressionJob.of(gguf, output).withTensors(List.of(name)).withOptions(options);
        GroupReduce.compress(job, backend, Progress.NONE, System.out::println);
    }

    /** Opens a model and the head that was made of it. */
    static GgufEngine open(Path gguf, Path compressed, HeadOptions options) {
        ModelFile model = GroupReduce.openModel(gguf);
        try {
            return new GgufEngine(model, SoftmaxHead.open(compressed, options));
        } catch (Throwable e) {
            model.close();
            throw e;
        }
    }

    /** Up to {@code most} tokens that follow the prompt. */
    int[] generate(int[] prompt, int most, Request request) {
        Transformer.Cache cache = body.begin();
        float[] state = new float[head.hiddenSize()];
        States states = States.of(state);
        request.prompt(prompt);
        for (int token : prompt) {
            read(token, cache, state);
        }
        int[] said = new int[most];
        for (int i = 0; i < most; i++) {
            said[i] = head.sample(states, request)[0];
            read(said[i], cache, state);
        }
        return said;
    }

    /** The hidden state after some tokens. */
    float[] state(int... tokens) {
        Transformer.Cache cache = body.begin();
        float[] state = new float[head.hiddenSize()];
        Arrays.stream(tokens).forEach(token -> read(token, cache, state));
        return state;
    }

    private void read(int token, Transformer.Cache cache, float[] state) {
        float[] row = new float[table.columns()];
        table.readRow(token, row, 0);
        body.step(row, cache, state, 0);
    }

    @Override
    public void close() {
        try (model) {
            head.close();
        }
    }
}
