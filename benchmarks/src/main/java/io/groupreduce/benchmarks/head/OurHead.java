package io.groupreduce.benchmarks.head;

import io.groupreduce.SoftmaxHead;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Pruning;
import io.groupreduce.api.RankedTokens;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.spi.Backend;

/** The fused softmax of this software, asked as users ask it: through {@link SoftmaxHead}, with result arrays that are kept. */
final class OurHead implements ScoringHead {
    private final CompressedMatrix matrix;
    private final SoftmaxHead head;
    private final Answers answers = new Answers();
    private RankedTokens ranked = RankedTokens.ofLogits(1, TOP);
    private RankedTokens probable = RankedTokens.of(1, TOP);

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
    public Answers answers() {
        return answers;
    }

    @Override
    public void top(Batch batch, int turn) {
        if (ranked.states() != batch.size()) {
            ranked = RankedTokens.ofLogits(batch.size(), TOP);
        }
        head.top(batch.hidden(turn), ranked);
        keep(ranked);
    }

    @Override
    public void topWithLogProbabilities(Batch batch, int turn) {
        if (probable.states() != batch.size()) {
            probable = RankedTokens.of(batch.size(), TOP);
        }
        head.top(batch.hidden(turn), probable);
        keep(probable);
        System.arraycopy(probable.logProbabilities(), 0, answers.logProbabilities, 0, batch.size() * TOP);
    }

    /** The likeliest token alone. */
    void greedy(Batch batch, int turn) {
        head.greedy(batch.hidden(turn), answers.tokens);
    }

    private void keep(RankedTokens found) {
        System.arraycopy(found.tokens(), 0, answers.tokens, 0, found.states() * TOP);
        System.arraycopy(found.logits(), 0, answers.logits, 0, found.states() * TOP);
    }

    @Override
    public void score(Batch batch, int turn) {
        head.logProbabilities(batch.hidden(turn), batch.targets(turn), answers.targetLogProbabilities);
    }

    @Override
    public void close() {
        head.close();
    }
}
