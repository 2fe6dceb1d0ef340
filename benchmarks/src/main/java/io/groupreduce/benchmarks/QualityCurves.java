package io.groupreduce.benchmarks;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.Method;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.ScaleFormat;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What each method costs the softmax of a model at the same total bytes, as a table and a picture. Arguments: {@link
 * QualityArguments}.
 */
public final class QualityCurves {
    private static final double[] RATIOS = {4, 5.3, 7.7, 10, 15, 20, 26, 33, 40, 50, 60};
    private static final double[] QUICK_RATIOS = {15};

    /** Numbers that share a scale where a row has several. */
    private static final int BLOCK = 32;

    private static final String ROW = "| %s | %s | %.2f | %,d | %s | %s | %s | %.2f |";

    private final Trials trials;
    private final QualityArguments arguments;
    private final QualityReport report;

    private QualityCurves(Trials trials, QualityArguments arguments, QualityReport report) {
        this.trials = trials;
        this.arguments = arguments;
        this.report = report;
    }

    public static void main(String[] words) throws IOException {
        try {
            run(QualityArguments.parse(words));
        } catch (GroupReduceException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }

    private static void run(QualityArguments arguments) throws IOException {
        int threads = Runtime.getRuntime().availableProcessors();
        QualityReport report = new QualityReport();
        try (QualityModel model = QualityModel.open(arguments.folder(), arguments.quick());
                Backend backend = BackendSelection.select(Device.AUTO, threads).backend()) {
            Trials trials = new Trials(backend, model);
            Trial int8 = trials.rounded(Codec.INT8, model.dense().columns(), ScaleFormat.BF16);
            report.header("Quality at equal bytes: " + arguments.title(), model, backend, int8.evaluation());
            new QualityCurves(trials, arguments, report).measure(model.dense().columns());
        }
    }

    private void measure(int columns) throws IOException {
        if (arguments.out() != null) {
            String picture = "quality-" + arguments.name() + ".svg";
            report.paragraph("![Perplexity increase against size ratio](" + picture + ")");
            report.paragraph("Both axes are logarithmic. The picture ends at " + QualityChart.LEAST + " % and at "
                    + QualityReport.number(QualityChart.MOST)
                    + " %: smaller rises, and falls, are drawn at its foot, larger ones at its head. What is over "
                    + QualityReport.number(QualityChart.MOST_RATIO)
                    + " times smaller is left out of it, and so are variants that differ little.");
        }
        report.paragraph(
                "Every stored byte counts: factors, scales, group numbers, and a bias where calibration trains one."
                        + " Dense integers have scales of least error and no group numbers. `groupreduce INT8` is the paper's"
                        + " quantization at the size asked for; with `rank 1` its groups may have ranks from 1 on instead of 5. The"
                        + " paper's methods and svd never see hidden states. Seconds are those of one compression; the first ones"
                        + " include the start of the JVM's compilers. KL in nats. After ± stands half of the 95 % interval over the"
                        + " judged tokens; differences between methods are surer than that, since all are judged on the same tokens.");
        report.line("| ratio asked | method | ratio | bytes | perplexity + % | loss + % | KL | seconds |");
        report.line("|---|---|---|---|---|---|---|---|");
        dense(columns);
        for (double ratio : arguments.quick() ? QUICK_RATIOS : RATIOS) {
            methods().forEach((name, options) -> compress(name, ratio, options));
        }
        if (arguments.out() != null) {
            Path table = arguments.out().resolve("quality-" + arguments.name() + ".md");
            report.write(table);
            QualityChart.draw(table, arguments.out().resolve("quality-" + arguments.name() + ".svg"));
        }
    }

    private void dense(int columns) {
        for (Codec codec : List.of(Codec.INT8, Codec.INT4, Codec.INT3)) {
            String name = "dense " + codec.name();
            row("", name + QualityChart.DENSE_SCALES, trials.rounded(codec, columns, ScaleFormat.BF16));
            row("", name + ", a LOG8 scale a row", trials.rounded(codec, columns, ScaleFormat.LOG8));
            row("", name + ", a BF16 scale per " + BLOCK, trials.rounded(codec, BLOCK, ScaleFormat.BF16));
        }
    }

    /** The paper's methods keep the source's numbers where no codec is named. */
    private Map<String, CompressionOptions> methods() {
        CompressionOptions best = CompressionOptions.defaults();
        CompressionOptions paper = CompressionOptions.paper().withCodec(trials.source());
        Map<String, CompressionOptions> methods = new LinkedHashMap<>();
        methods.put("svd", paper.withMethod(Method.SVD));
        methods.put("weighted-svd", paper.withMethod(Method.WEIGHTED_SVD));
        methods.put("groupreduce", paper);
        methods.put("groupreduce INT8", paper.withCodec(Codec.INT8));
        methods.put("groupreduce INT8, rank 1", paper.withCodec(Codec.INT8).withMinRank(1));
        methods.put("rate-distortion", best);
        methods.put("rate-distortion, packed", best.withPacked(true));
        methods.put(
                "rate-distortion, " + Ablation.epochs(arguments.epochs()),
                best.withCalibrationEpochs(arguments.epochs()));
        return methods;
    }

    private void compress(String name, double ratio, CompressionOptions options) {
        String asked = QualityReport.number(ratio);
        try {
            Trial trial = trials.run(options.withTarget(SizeTarget.ratio(ratio)));
            row(asked, name, trial);
        } catch (UnreachableTargetException e) {
            report.line("| " + asked + " | " + name + " | out of reach | | | | | |");
        }
    }

    private void row(String asked, String name, Trial trial) {
        report.line(String.format(
                Locale.ROOT,
                ROW,
                asked,
                name,
                trial.ratio(),
                trial.bytes(),
                trial.perplexity(),
                Trial.percent(trial.lossIncrease()),
                trial.kl(),
                trial.seconds()));
    }
}
