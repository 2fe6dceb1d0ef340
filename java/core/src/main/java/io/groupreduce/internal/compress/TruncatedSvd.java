package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Progress;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import java.lang.foreign.Arena;
import java.util.List;

/**
 * {@code svd} and {@code weighted-svd}: one basis for all rows, weighted by frequency or not, kept up to the largest rank that the
 * size allows (Eckart and Young 1936; under row weights w that of diag(w)^(1/2) A).
 */
final class TruncatedSvd implements CompressionMethod {
    private final CompressionTask task;
    private final SizeModel model;
    private final double[] raw;

    TruncatedSvd(CompressionTask asked) {
        CompressionOptions options = PaperMethod.withCodecs(asked);
        boolean weighted = options.method().weighted();
        task = asked.withOptions(weighted ? options.withAlpha(options.alpha().orElse(1)) : options);
        model = PaperMethod.model(task);
        raw = Weights.raw(task.counts(), weighted ? task.options().alpha().orElseThrow() : 0);
    }

    /** All rows in one group of the rank that the size allows. */
    Grouping start() {
        return Grouping.of(new byte[task.matrix().rows()], 1, raw, (sizes, means) -> new RankAllocation(
                        model, task.options().codec().orElseThrow(), sizes, means)
                .uniform(task.factorBudget()));
    }

    @Override
    public void requireReachable() {
        start();
    }

    @Override
    public CompressionResult run(Arena arena, Progress progress) {
        Grouping all = start();
        progress.at("reading " + task.matrix().name(), 0);
        try (CompressionWorkspace workspace = task.open(raw)) {
            double energy = task.energy(workspace);
            progress.at("basis", 0.05);
            List<Spectrum> spectra = all.decompose(workspace);
            progress.at("factors", 0.85);
            List<Directions> bases = all.bases(workspace, spectra);
            List<Double> losses = List.of(all.loss(spectra));
            CompressionResult result = all.store(workspace, spectra, bases, task, model, energy, losses, arena);
            progress.at("done", 1);
            return result;
        }
    }
}
