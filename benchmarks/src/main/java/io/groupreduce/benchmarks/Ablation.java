package io.groupreduce.benchmarks;

import io.groupreduce.BackendSelection;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Device;
import io.groupreduce.api.Method;
import io.groupreduce.api.Metric;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.ScaleFormat;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What each ingredient is worth at the same total bytes: switched on alone from the plain SVD, and off alone from the whole
 * method. Every variant is measured without and with calibration, the last ingredient. Arguments: {@link QualityArguments}.
 */
public final class Ablation {
    private static final int QUICK_STEP = 6;

    private final Trials trials;
    private final QualityArguments arguments;
    private final QualityReport report;
    private final Metric metric;
    private final Codec source;

    /** A way to compress, without calibration or with it. */
    private interface Way {
        Trial run(CompressionOptions options);
    }

    /** A line of a table. */
    private record Variant(String name, String explanation, CompressionOptions options, Way way) {}

    private Ablation(Trials trials, QualityArguments arguments, QualityReport report) {
        this.trials = trials;
        this.arguments = arguments;
        this.report = report;
        metric = trials.metric();
        source = trials.source();
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
            String title = "Ablation at " + QualityReport.number(arguments.ratio()) + " times smaller: ";
            report.header(title + arguments.title(), model, backend, int8.evaluation());
            new Ablation(trials, arguments, report).measure();
        }
        if (arguments.out() != null) {
            report.write(arguments.out().resolve("ablation-" + arguments.name() + ".md"));
        }
    }

    /** How often the hidden states are passed, in words. */
    static String epochs(int count) {
        return count == 1 ? "1 epoch" : count + " epochs";
    }

    private void measure() {
        report.paragraph("All variants have the same total bytes as far as they can fill them. The weighted error is"
                + " sqrt(sum w ||A - A^||^2 / sum w ||A||^2) with w = (c + 1)^0.5, before calibration, whatever a variant"
                + " minimised: what perplexity follows is another matter. KL in nats; after ±"
                + " stands half of the 95 % interval over the judged tokens. The last two columns add calibration of "
                + epochs(arguments.epochs()) + " on the hidden states, which trains what is stored towards the dense"
                + " softmax.");
        onAlone();
        offAlone();
    }

    private void onAlone() {
        CompressionOptions svd = at(Method.SVD).withCodec(source);
        CompressionOptions weighted = at(Method.WEIGHTED_SVD).withCodec(source);
        CompressionOptions paper = at(Method.GROUPREDUCE).withCodec(source);
        CompressionOptions paperInt8 = paper.withCodec(Codec.INT8);
        CompressionOptions ranks = at(Method.RATE_DISTORTION)
                .withCodec(source)
                .withGroups(1)
                .withAlpha(0)
                .withRefineRounds(0);
        Way plain = trials::run;
        Way underMetric = options -> trials.run(options, metric);
        report.paragraph("## On alone, from the plain SVD");
        table(List.of(
                new Variant("none", "svd, " + source + " factors", svd, plain),
                new Variant(
                        "blocks",
                        "the paper's 5 groups of equal count mass, a basis each, one rank",
                        paper.withAlpha(0).withRefineRounds(0),
                        plain),
                new Variant("weights 0.5", "rows weighted by (c + 1)^0.5", weighted.withAlpha(0.5), plain),
                new Variant("weights 1", "rows weighted by c + 1, as in the paper", weighted, plain),
                new Variant("ranks", "one basis, a rank for every row", ranks, trials::runWithoutHidden),
                new Variant("metric", "errors measured under E[h h^T]", svd, underMetric),
                new Variant("codecs INT8", "INT8 factors, so more of them", svd.withCodec(Codec.INT8), plain),
                new Variant("codecs INT4", "INT4 left factors, INT8 basis", svd.withCodec(Codec.INT4), plain),
                new Variant("codecs INT3", "INT3 left factors, INT8 basis", svd.withCodec(Codec.INT3), plain)));
        report.paragraph("## The paper's method, built up");
        table(List.of(
                new Variant("blocks, weights", "ranks follow mean counts", paper.withRefineRounds(0), plain),
                new Variant("blocks, weights, refinement", "the paper, " + source + " factors", paper, plain),
                new Variant(
                        "blocks, weights, codecs", "INT8, without refinement", paperInt8.withRefineRounds(0), plain),
                new Variant("all of the paper's", "INT8 and refined", paperInt8, plain),
                new Variant(
                        "and low ranks",
                        "INT8 and refined, ranks from 1 on instead of 5",
                        paperInt8.withMinRank(1),
                        plain),
                new Variant(
                        "and the metric", "INT8 and refined under E[h h^T], ranks from 5 on", paperInt8, underMetric)));
    }

    private void offAlone() {
        CompressionOptions chosen = trials.run(at(Method.RATE_DISTORTION)).options();
        int bases = chosen.groups().orElseThrow();
        double alpha = chosen.alpha().orElseThrow();
        CompressionOptions whole = at(Method.RATE_DISTORTION).withGroups(bases).withAlpha(alpha);
        CompressionOptions oneRank = at(Method.WEIGHTED_SVD).withAlpha(alpha).withCodec(Codec.INT4);
        Way plain = trials::run;
        report.paragraph("## Off alone, from the whole method");
        report.paragraph("Uncalibrated, rate-distortion chooses alpha " + QualityReport.number(alpha) + " and " + bases
                + (bases == 1 ? " basis" : " bases") + " at this size; all variants keep what they do not change.");
        List<Variant> variants = new ArrayList<>();
        variants.add(new Variant("none", "rate-distortion as it is", whole, plain));
        for (int count : new int[] {1, 4, 16}) {
            if (count != bases) {
                variants.add(new Variant("blocks", "bases: " + count, whole.withGroups(count), plain));
            }
        }
        variants.add(new Variant("weights", "alpha 0: all rows count alike", whole.withAlpha(0), plain));
        if (alpha != 1) {
            variants.add(new Variant("weights 1", "alpha 1, the paper's", whole.withAlpha(1), plain));
        }
        variants.add(new Variant(
                "ranks",
                "one rank and INT4 for all rows, same weights and metric",
                oneRank,
                options -> trials.run(options, metric)));
        variants.add(new Variant("refinement", "bases are never renewed", whole.withRefineRounds(0), plain));
        variants.add(new Variant("metric", "hidden states only calibrate", whole, trials::runWithoutHidden));
        for (Codec codec : List.of(source, Codec.INT8, Codec.INT4, Codec.INT3)) {
            variants.add(new Variant("codecs", "all left factors " + codec.name(), whole.withCodec(codec), plain));
        }
        table(variants);
    }

    private CompressionOptions at(Method method) {
        return CompressionOptions.defaults().withMethod(method).withTarget(SizeTarget.ratio(arguments.ratio()));
    }

    /** A quick run takes a few of the variants. */
    private void table(List<Variant> variants) {
        String calibrated = epochs(arguments.epochs());
        report.line("| variant | what it is | ratio | weighted error | perplexity + % | KL | perplexity + %, "
                + calibrated + " | KL, " + calibrated + " |");
        report.line("|---|---|---|---|---|---|---|---|");
        for (int v = 0; v < variants.size(); v += arguments.quick() ? QUICK_STEP : 1) {
            row(variants.get(v));
        }
        report.line("");
    }

    private void row(Variant variant) {
        String start = "| " + variant.name + " | " + variant.explanation + " | ";
        try {
            Trial plain = variant.way.run(variant.options);
            Trial trained = variant.way.run(variant.options.withCalibrationEpochs(arguments.epochs()));
            report.line(String.format(
                    Locale.ROOT,
                    "%s%.2f | %.4f | %s | %s | %s | %s |",
                    start,
                    plain.ratio(),
                    plain.relativeError(),
                    plain.perplexity(),
                    plain.kl(),
                    trained.perplexity(),
                    trained.kl()));
        } catch (UnreachableTargetException e) {
            report.line(start + "out of reach | | | | | |");
        }
    }
}
