package io.groupreduce.models.sentence;

import io.groupreduce.error.DeviceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Wording;
import io.groupreduce.models.run.Runner;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ForkJoinPool;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/** A model that makes a vector of a sentence. */
final class SentenceModel implements AutoCloseable {
    private final String name;
    private final Runner runner;
    private final Pooling.Choice choice;

    /** A model; it closes the runner. */
    SentenceModel(Path file, Runner runner, Pooling.Choice choice) {
        this.name = Wording.file(file);
        this.runner = runner;
        this.choice = choice;
    }

    /**
     * Opens a model file.
     *
     * @param wanted {@code null} to tell the pooling by the outputs
     */
    static SentenceModel open(Path file, Pooling wanted) {
        Runner runner = Runner.open(file, 1);
        try {
            return new SentenceModel(file, runner, Pooling.choose(Wording.file(file), wanted, runner.outputs()));
        } catch (Throwable e) {
            runner.close();
            throw e;
        }
    }

    Pooling.Choice choice() {
        return choice;
    }

    /**
     * The vectors of sentences, each run alone: padding, and the scales that some quantised models take from a whole batch, would make a vector
     * depend on its neighbours. One thread runs one sentence, so their number changes nothing.
     *
     * @param sentences their tokens, at least one each
     * @param done hears how many are finished
     * @throws InvalidDataException if a vector holds NaN or infinity, or the model does not take a sentence
     * @throws DeviceException if the runtime fails
     */
    float[][] vectors(List<int[]> sentences, int threads, IntConsumer done) {
        float[][] vectors = new float[sentences.size()][];
        int[] finished = {0};
        try (ForkJoinPool pool = new ForkJoinPool(threads)) {
            pool.submit(() -> IntStream.range(0, vectors.length).parallel().forEach(i -> {
                        vectors[i] = vector(sentences.get(i));
                        synchronized (finished) {
                            done.accept(++finished[0]);
                        }
                    }))
                    .join();
        }
        return vectors;
    }

    private float[] vector(int[] tokens) {
        Runner.Values values = runner.run(new int[][] {tokens}, choice.output());
        float[] vector = choice.pooling().of(values, tokens.length);
        double length = 0;
        for (float x : vector) {
            length += (double) x * x;
        }
        if (!(length > 0 && length <= Double.MAX_VALUE)) {
            throw new InvalidDataException(name + " gives a sentence of " + tokens.length + " tokens a vector "
                    + (length == 0 ? "of zeros" : "that holds NaN or infinity")
                    + ", which has no direction; check the model, or name another --pooling.");
        }
        return vector;
    }

    @Override
    public void close() {
        runner.close();
    }
}
