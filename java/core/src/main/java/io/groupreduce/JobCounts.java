package io.groupreduce;

import io.groupreduce.api.CompressionJob;
import io.groupreduce.format.CountsFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.internal.check.CompressionChecks;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** How often tokens occur, as far as a {@link CompressionJob} tells. */
final class JobCounts {
    private final CompressionJob job;
    /** What followed the hidden states; {@code null} where that is not known. */
    private final int[] targets;

    private final boolean hasHidden;
    private final Consumer<String> tell;
    /** By file and number of rows. */
    private final Map<List<Object>, long[]> read = new HashMap<>();

    /** @param hidden {@code null} for none */
    JobCounts(CompressionJob job, HiddenStates hidden, Consumer<String> tell) {
        this.job = job;
        this.tell = tell;
        hasHidden = hidden != null;
        targets = hasHidden ? hidden.targets() : null;
    }

    /** Says what is done where counts are missing, and what it costs. */
    void tellMissing(List<String> tensors) {
        if (!job.options().method().weighted() || tensors.stream().allMatch(name -> job.countsOf(name) != null)) {
            return;
        }
        if (targets != null) {
            tell.accept("No counts were given, so the " + targets.length + " targets of " + job.hidden()
                    + " are counted; more text gives better counts: 'groupreduce count'.");
            return;
        }
        // What it cost where it was measured: docs/models.md, "Counts from text".
        tell.accept((hasHidden ? "No counts" : "Neither counts nor hidden states")
                + " were given, so every token counts alike, which costs quality (a Penn Treebank softmax, 26 times smaller: a KL of "
                + (hasHidden ? "0.085 instead of 0.031" : "0.061 instead of 0.034 with counts and 0.031 with both")
                + "): 'groupreduce count' "
                + (hasHidden ? "gets them" : "and, of an ONNX model, 'groupreduce collect' get them")
                + " from text; --counts zipf guesses counts where tokens are in order of frequency.");
    }

    /** By a file, a guess, or else the targets of the hidden states; {@code null} where nothing tells. */
    long[] of(String tensor, Matrix matrix) {
        Path file = job.countsOf(tensor);
        if (file == null) {
            return targets == null ? null : counted(matrix.rows());
        }
        if (CompressionJob.ZIPF.equals(file) && targets != null) {
            CompressionChecks.requireFrequentFirst(matrix, targets, job.hidden().toString());
        }
        return read.computeIfAbsent(List.of(file, matrix.rows()), key -> CountsFile.read(file, matrix.rows(), tell));
    }

    /** Targets that are no rows are refused later, where states meet their matrix. */
    private long[] counted(int rows) {
        long[] counts = new long[rows];
        for (int target : targets) {
            if (target >= 0 && target < rows) {
                counts[target]++;
            }
        }
        return counts;
    }
}
