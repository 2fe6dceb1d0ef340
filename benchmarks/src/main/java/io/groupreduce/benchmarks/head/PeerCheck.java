package io.groupreduce.benchmarks.head;

import io.groupreduce.benchmarks.OpenBlas;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Whether the peers compute what they are compared for: every peer on a small softmax against binary64, tokens and
 * log-probabilities. Prints one line, or ends with an exception.
 */
public final class PeerCheck {
    /** Enough rows that two threads share the logits of a state, and neither they nor the columns fill whole vectors. */
    private static final HeadShape SHAPE = new HeadShape(66_001, 24);

    private static final double TOLERANCE = 1e-5;

    private final HeadModel model;
    private final float[] bias;
    private int checked;

    private PeerCheck(HeadModel model) {
        this.model = model;
        this.bias = new float[SHAPE.rows()];
        for (int i = 0; i < bias.length; i++) {
            bias[i] = (float) Math.sin(i);
        }
    }

    public static void main(String[] arguments) throws IOException {
        Path folder = Files.createTempDirectory("groupreduce-peers");
        try (HeadModel model = HeadModel.synthetic(SHAPE, null)) {
            PeerCheck check = new PeerCheck(model);
            check.run(folder);
            System.out.println("peers agree with binary64 in " + check.checked + " batches");
        } finally {
            OnnxFiles.delete(folder);
        }
    }

    private void run(Path folder) {
        OpenBlas blas = new OpenBlas();
        Matrix dense = model.dense();
        HeadSpec spec = HeadSpec.parse("rate-distortion@8");
        try (CompressedFile file = HeadFiles.open(folder, model, spec)) {
            CompressedMatrix compressed = file.require(spec.toString());
            for (int threads = 1; threads <= 2; threads++) {
                blas.threads(threads);
                for (float[] added : new float[][] {null, bias}) {
                    String name = added == null ? "plain" : "biased";
                    Path f32 = OnnxFiles.model(folder, name, dense, added, false);
                    Path int8 = OnnxFiles.model(folder, name, dense, added, true);
                    try (Head openBlas = new BlasDenseHead(blas, dense, added, threads);
                            Head factors = new BlasFactorHead(blas, compressed, added, threads);
                            Head onnx = new OnnxHead("ONNX Runtime F32", f32, dense.bytes(), threads);
                            Head onnxInt8 = new OnnxHead("ONNX Runtime INT8", int8, dense.bytes() / 4, threads);
                            Arena arena = Arena.ofShared()) {
                        for (int states : new int[] {1, 2, 16}) {
                            Batch batch = model.queries().batches(arena, states);
                            double[][] logits = ExactLogits.dense(dense, added, batch, 1);
                            require(openBlas, batch, logits);
                            require(onnx, batch, logits);
                            require(factors, batch, ExactLogits.compressed(compressed, added, batch, 1));
                            require(onnxInt8, batch, ExactLogits.quantized(dense, added, batch, 1));
                        }
                    }
                }
            }
        }
    }

    /** Compares what a head says in turn 1 with the logits of that turn. */
    private void require(Head head, Batch batch, double[][] logits) {
        head.top(batch, 1);
        int[] tokens = head.answers().tokens.clone();
        float[] found = head.answers().logits.clone();
        for (int s = 0; s < batch.size(); s++) {
            double[] state = logits[s];
            int[] expected = best(state);
            for (int i = 0; i < Head.TOP; i++) {
                requireClose(head, "logit", found[s * Head.TOP + i], state[expected[i]]);
                requireClose(head, "logit of its token", state[tokens[s * Head.TOP + i]], state[expected[i]]);
            }
        }
        if (head instanceof ScoringHead) {
            requireScores((ScoringHead) head, batch, logits);
        }
        checked++;
    }

    /** The tokens of largest logit, found one by one. */
    private static int[] best(double[] logits) {
        double[] left = logits.clone();
        int[] tokens = new int[Head.TOP];
        for (int i = 0; i < Head.TOP; i++) {
            for (int token = 1; token < left.length; token++) {
                if (left[token] > left[tokens[i]]) {
                    tokens[i] = token;
                }
            }
            left[tokens[i]] = Double.NEGATIVE_INFINITY;
        }
        return tokens;
    }

    private static void requireScores(ScoringHead head, Batch batch, double[][] logits) {
        head.topWithLogProbabilities(batch, 1);
        float[] logProbabilities = head.answers().logProbabilities.clone();
        int[] tokens = head.answers().tokens.clone();
        head.score(batch, 1);
        for (int s = 0; s < batch.size(); s++) {
            double logSumExp = Math.log(Arrays.stream(logits[s]).map(Math::exp).sum());
            for (int i = s * Head.TOP; i < (s + 1) * Head.TOP; i++) {
                requireClose(head, "log-probability", logProbabilities[i], logits[s][tokens[i]] - logSumExp);
            }
            double target = logits[s][batch.targets(1)[s]] - logSumExp;
            requireClose(head, "target", head.answers().targetLogProbabilities[s], target);
        }
    }

    private static void requireClose(Head head, String what, double found, double expected) {
        if (!(Math.abs(found - expected) <= TOLERANCE * Math.max(1, Math.abs(expected)))) {
            throw new IllegalStateException(head.name() + ": the " + what + " is " + found + ", not " + expected);
        }
    }
}
