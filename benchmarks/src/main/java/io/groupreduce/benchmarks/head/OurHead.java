package io.groupreduce.benchmarks.head;

import io.groupreduce.Answers;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.api.Backend;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Pruning;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import java.util.Arrays;

/** The fused softmax of this software, asked as users ask it: through {@link SoftmaxHead}, with result arrays that are kept. */
final class OurHead implements ScoringHead {
    private final CompressedMatrix matrix;
    private final SoftmaxHead head;
    private final HeadAnswers answers = new HeadAnswers();
    private Request[] requests = {};
    private Answers found;

    /**
     * Loads a matrix, which stays its owner's.
     *
     * @param bias the model's, length N, or {@code null}
     */
    OurHead(Backend backend, CompressedMatrix matrix, float[] bias, Pruning pruning) {
        this.matrix = matrix;
        this.head = SoftmaxHead.of(backend, matrix, bias, HeadOptions.defaults().withPruning(pruning));
    }

    @Override
    public String name() {
        return matrix.name();
    }

    /** Factors and scales as they are stored; bounds may leave some of them unread. */
    @Override
    public long bytes() {
        long bytes = 0;
        for (int g = 0; g < matrix.groups().size(); g++) {
            EncodedMatrix left = matrix.left(g);
            bytes += left == null ? 0 : left.bytes();
        }
        for (int b = 0; b < matrix.bases(); b++) {
            bytes += matrix.right(b).bytes();
        }
        return bytes;
    }

    @Override
    public HeadAnswers answers() {
        return answers;
    }

    @Override
    public void top(Batch batch, int turn) {
        ask(batch, turn, Request.look().top(TOP));
        keep(batch.size(), false);
    }

    @Override
    public void topWithLogProbabilities(Batch batch, int turn) {
        ask(batch, turn, Request.look().top(TOP).probabilities(Probabilities.MODEL));
        keep(batch.size(), true);
    }

    /** The likeliest token alone. */
    void greedy(Batch batch, int turn) {
        ask(batch, turn, Request.greedy());
    }

    private void ask(Batch batch, int turn, Request request) {
        if (requests.length != batch.size()) {
            requests = new Request[batch.size()];
            found = Answers.of(batch.size());
        }
        Arrays.fill(requests, request);
        head.answer(States.of(batch.hidden(turn)), requests, found);
    }

    private void keep(int states, boolean probable) {
        for (int at = 0; at < states * TOP; at++) {
            answers.tokens[at] = found.topToken(at / TOP, at % TOP);
            answers.logits[at] = found.topLogit(at / TOP, at % TOP);
            if (probable) {
                answers.logProbabilities[at] = found.topLogProbability(at / TOP, at % TOP);
            }
        }
    }

    @Override
    public void score(Batch batch, int turn) {
        float[] scores = head.logProbabilities(States.of(batch.hidden(turn)), batch.targets(turn));
        System.arraycopy(scores, 0, answers.targetLogProbabilities, 0, scores.length);
    }

    @Override
    public void close() {
        head.close();
    }
}
