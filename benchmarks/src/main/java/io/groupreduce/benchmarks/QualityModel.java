package io.groupreduce.benchmarks;

import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CountsFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.format.Tensor;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * The softmax of a model in a folder: {@code model.safetensors}, {@code counts.tsv}, and {@code hidden.safetensors} with
 * targets. What learns from hidden states may see the first half of them; everything is judged on the second.
 */
public final class QualityModel implements AutoCloseable {
    /** Hidden states of each half that a quick run takes. */
    private static final int QUICK_STATES = 300;

    private final Model model;
    private final HiddenStates hidden;
    private final Matrix dense;
    private final long[] counts;
    private final SoftmaxData known;
    private final SoftmaxData judged;

    private QualityModel(Model model, HiddenStates hidden, boolean quick) {
        this.model = model;
        this.hidden = hidden;
        Tensor output = model.compressible().stream()
                .filter(tensor -> model.servesAsOutput(tensor.name()))
                .findFirst()
                .orElseThrow(() -> new InvalidDataException(
                        model.path() + " has no output matrix under a known name, such as softmax.weight; rename it."));
        dense = output.matrix(model.fileOf(output.name()).toString());
        int states = hidden.hidden().rows();
        if (hidden.targets() == null || states < 2) {
            throw new InvalidDataException(hidden.hidden().name()
                    + " comes without targets or has a single state; give at least 2 states with targets.");
        }
        counts = CountsFile.read(model.path().resolve("counts.tsv"), dense.rows());
        SoftmaxData all = model.softmax(output.name(), hidden);
        int middle = states / 2;
        int most = quick ? QUICK_STATES : states;
        known = part(all, 0, middle).first(most);
        judged = part(all, middle, states).first(most);
    }

    private static SoftmaxData part(SoftmaxData all, int from, int to) {
        int[] targets = Arrays.copyOfRange(all.targets(), from, to);
        return new SoftmaxData(all.hidden().slice(from, to - from), targets, all.bias());
    }

    /** Opens what lies in a folder; a quick run takes few of its hidden states. */
    public static QualityModel open(Path folder, boolean quick) {
        Model model = Model.open(folder);
        try {
            HiddenStates hidden = HiddenStates.open(folder.resolve("hidden.safetensors"));
            try {
                return new QualityModel(model, hidden, quick);
            } catch (RuntimeException e) {
                hidden.close();
                throw e;
            }
        } catch (RuntimeException e) {
            model.close();
            throw e;
        }
    }

    /** A, N x D. */
    public Matrix dense() {
        return dense;
    }

    /** Length N. */
    public long[] counts() {
        return counts;
    }

    /** What a method may be fitted to. */
    public SoftmaxData known() {
        return known;
    }

    /** What every method is judged on. */
    public SoftmaxData judged() {
        return judged;
    }

    @Override
    public void close() {
        hidden.close();
        model.close();
    }
}
