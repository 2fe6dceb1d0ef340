package io.groupreduce.benchmarks;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.ModelFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * What the output layers of GGUF files, or of any model that is read, lose against that of the first one, on hidden states with targets:
 * {@code GgufComparison HIDDEN ORIGINAL FILE...}. All logits are computed from the numbers that a reader of the file would decode.
 */
public final class GgufComparison {
    /** States that share a pass over the rows of all files. */
    private static final int TILE = 64;

    private static final double NORMAL_95 = 1.96;

    private GgufComparison() {}

    /** Prints a table, a line a file. */
    public static void main(String[] arguments) {
        List<ModelFile> models = new ArrayList<>();
        try (HiddenStates states = HiddenStates.open(Path.of(arguments[0]))) {
            for (int i = 1; i < arguments.length; i++) {
                models.add(GroupReduce.openModel(Path.of(arguments[i])));
            }
            List<Head> heads = models.stream().map(Head::of).toList();
            int count = states.hidden().rows();
            // By state and file: KL, cross-entropy, whether the first token agrees.
            double[][][] found = new double[count][][];
            IntStream.range(0, Math.ceilDiv(count, TILE)).parallel().forEach(tile -> {
                int first = tile * TILE;
                compare(heads, states, first, Math.min(TILE, count - first), found);
            });
            System.out.println("| file | type | bytes | KL, nats | perplexity | top-1 |");
            System.out.println("|---|---|---:|---:|---:|---:|");
            for (int f = 0; f < heads.size(); f++) {
                System.out.println(line(arguments[f + 1], heads.get(f), found, f));
            }
        } finally {
            models.forEach(ModelFile::close);
        }
    }

    private static String line(String file, Head head, double[][][] found, int f) {
        double[] kl = new double[found.length];
        double loss = 0;
        double agreed = 0;
        for (int t = 0; t < found.length; t++) {
            kl[t] = found[t][f][0];
            loss += found[t][f][1] / found.length;
            agreed += found[t][f][2] / found.length;
        }
        double mean =
                IntStream.range(0, kl.length).mapToDouble(t -> kl[t]).average().orElse(0);
        double variance = IntStream.range(0, kl.length)
                        .mapToDouble(t -> (kl[t] - mean) * (kl[t] - mean))
                        .sum()
                / kl.length;
        return String.format(
                Locale.ROOT,
                "| %s | %s | %,d | %.6f ± %.6f | %.3f | %.2f %% |",
                Path.of(file).getFileName(),
                head.matrix.storedType(),
                head.matrix.storedBytes(),
                mean,
                NORMAL_95 * Math.sqrt(variance / kl.length),
                Math.exp(loss),
                100 * agreed);
    }

    private record Head(Matrix matrix, float[] bias) {
        static Head of(ModelFile file) {
            Model model = Model.of(file);
            String output = model.outputMatrix();
            return new Head(model.matrix(output), model.bias(model.logits(output)));
        }

        /** Logits of some states, one after the other; {@code turned} has the states side by side. */
        float[] logits(float[] turned) {
            int columns = matrix.columns();
            int rows = matrix.rows();
            float[] logits = new float[rows * TILE];
            float[] row = new float[columns];
            float[] sums = new float[TILE];
            for (int i = 0; i < rows; i++) {
                matrix.readRow(i, row, 0);
                Arrays.fill(sums, bias == null ? 0 : bias[i]);
                for (int j = 0; j < columns; j++) {
                    for (int t = 0; t < TILE; t++) {
                        sums[t] += row[j] * turned[j * TILE + t];
                    }
                }
                for (int t = 0; t < TILE; t++) {
                    logits[t * rows + i] = sums[t];
                }
            }
            return logits;
        }
    }

    private static void compare(List<Head> heads, HiddenStates states, int first, int count, double[][][] found) {
        int columns = states.hidden().columns();
        float[] turned = new float[columns * TILE];
        float[] state = new float[columns];
        for (int t = 0; t < count; t++) {
            states.hidden().readRow(first + t, state, 0);
            for (int j = 0; j < columns; j++) {
                turned[j * TILE + t] = state[j];
            }
        }
        float[] dense = null;
        int rows = heads.get(0).matrix.rows();
        double[] logSums = new double[count];
        for (int f = 0; f < heads.size(); f++) {
            float[] logits = heads.get(f).logits(turned);
            dense = dense == null ? logits : dense;
            for (int t = 0; t < count; t++) {
                if (f == 0) {
                    found[first + t] = new double[heads.size()][];
                    logSums[t] = logSum(dense, t * rows, rows);
                }
                found[first + t][f] = judge(dense, logSums[t], logits, t * rows, rows, states.targets()[first + t]);
            }
        }
    }

    /** KL, cross-entropy and whether the first token is the same, of logits from {@code at} on. */
    private static double[] judge(float[] dense, double logSum, float[] logits, int at, int rows, int target) {
        double logSumHere = logSum(logits, at, rows);
        double kl = logSumHere - logSum;
        int best = at;
        int bestHere = at;
        for (int i = at; i < at + rows; i++) {
            kl += Math.exp(dense[i] - logSum) * (dense[i] - logits[i]);
            best = dense[i] > dense[best] ? i : best;
            bestHere = logits[i] > logits[bestHere] ? i : bestHere;
        }
        return new double[] {kl, logSumHere - logits[at + target], best == bestHere ? 1 : 0};
    }

    private static double logSum(float[] logits, int at, int rows) {
        float largest = Float.NEGATIVE_INFINITY;
        for (int i = at; i < at + rows; i++) {
            largest = Math.max(largest, logits[i]);
        }
        double sum = 0;
        for (int i = at; i < at + rows; i++) {
            sum += Math.exp(logits[i] - largest);
        }
        return largest + Math.log(sum);
    }
}
