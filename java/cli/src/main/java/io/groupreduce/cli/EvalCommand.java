package io.groupreduce.cli;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.Evaluation;
import io.groupreduce.cli.report.EvaluatedModel;
import io.groupreduce.cli.report.EvaluationPage;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.cli.report.ModelCard;
import io.groupreduce.cli.report.Section;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.CountsFile;
import io.groupreduce.format.HiddenStates;
import io.groupreduce.format.Model;
import io.groupreduce.format.OutputFile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.sentence.SentenceComparison;
import io.groupreduce.models.sentence.SentenceScores;
import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Compares a compressed model with the one it was made from: its softmax, or its vectors of sentences. */
@Command(
        name = "eval",
        description =
                "What a compression cost: perplexity, KL and agreement of a language model (--hidden), or closeness and"
                        + " rank correlation of sentences' vectors (--tokenizer with --sentences or --pairs).")
final class EvalCommand implements Callable<Integer> {
    private static final Pattern HUB_NAME = Pattern.compile("[\\w.-]{1,96}/[\\w.-]{1,96}");

    /** A folder of the hub's cache, as part of a path. */
    private static final Pattern HUB_CACHE = Pattern.compile("models--([\\w.-]+?)--([\\w.-]+)");

    @Mixin
    CommonOptions common;

    @Mixin
    DeviceOptions device;

    @Parameters(
            paramLabel = "SMALL",
            description =
                    "A file that 'groupreduce compress' wrote; for sentences also an ONNX model, such as 'export' writes.")
    Path file;

    @Option(names = "--reference", required = true, paramLabel = "INPUT", description = "The model it was made from.")
    Path reference;

    @Option(
            names = "--hidden",
            paramLabel = "FILE",
            description = "Safetensors with hidden [T,D] and optionally targets [T].")
    Path hidden;

    @Option(
            names = "--counts",
            paramLabel = "FILE",
            description = "With --hidden: weights of the relative error (default: all rows weigh alike).")
    Path counts;

    @Option(
            names = "--tensor",
            paramLabel = "NAME",
            description = "With --hidden: which matrix (default: the output matrix).")
    String tensor;

    @Mixin
    SentenceOptions sentences;

    @Option(names = "--report", paramLabel = "FILE.html", description = "Also write a page to look at.")
    Path report;

    @Option(names = "--card", paramLabel = "README.md", description = "Also write a model card, as model hubs show it.")
    Path card;

    @Option(
            names = "--base-model",
            paramLabel = "ORG/NAME",
            description = "The reference's name on the hub, for the card (default: that of a download cache).")
    String baseModel;

    @Option(names = "--force", description = "Replace existing output files.")
    boolean force;

    private final List<Section> sections = new ArrayList<>();
    private final List<String> limits = new ArrayList<>();
    private final Map<String, Object> document = new LinkedHashMap<>();

    @Override
    public Integer call() {
        requireSense();
        try (OutputFile page = claim(report, card);
                OutputFile readme = claim(card, report)) {
            document.put("file", file.toString());
            String softmax = hidden == null ? null : judgeSoftmax();
            String embedding = hidden == null ? judgeSentences() : null;
            limits.add("Nothing but what stands above was measured.");
            EvaluatedModel model = new EvaluatedModel(
                    file.toString(),
                    reference.toString(),
                    base(),
                    Optional.ofNullable(softmax),
                    Optional.ofNullable(embedding),
                    sections,
                    limits);
            if (page != null) {
                EvaluationPage.write(page.path(), model);
            }
            if (readme != null) {
                ModelCard.write(readme.path(), model);
            }
        }
        common.printJson(document);
        return 0;
    }

    private void requireSense() {
        if (sentences.given() == (hidden != null)) {
            throw new InvalidOptionException(
                    "A language model is judged with --hidden FILE, a model of sentences with --tokenizer"
                            + " FILE and --sentences or --pairs; give one of the two.");
        }
        if (baseModel != null && !HUB_NAME.matcher(baseModel).matches()) {
            throw new InvalidOptionException("--base-model " + baseModel + " is no name of a hub, such as ORG/NAME.");
        }
        if (hidden == null) {
            sentences.require();
            device.requireProcessor("sentences");
            device.threadCount();
            if (counts != null || tensor != null) {
                throw new InvalidOptionException(
                        "--counts and --tensor say how a softmax is judged; leave them away with --sentences and --pairs.");
            }
        }
    }

    /** An output, checked before the work; {@code null} where none is wanted. */
    private OutputFile claim(Path output, Path other) {
        if (output == null) {
            return null;
        }
        List<Path> used = new ArrayList<>(sentences.files());
        Stream.of(file, reference, other, hidden, counts)
                .filter(Objects::nonNull)
                .forEach(used::add);
        if (hidden == null) {
            used.addAll(files(reference));
            used.addAll(SentenceComparison.isOnnx(file) ? files(file) : List.of());
        } else {
            try (Model model = Model.open(reference)) {
                used.addAll(OutputFile.filesOf(model));
            }
        }
        return OutputFile.claim(output, used, force);
    }

    private Optional<String> base() {
        Matcher cached = HUB_CACHE.matcher(reference.toAbsolutePath().toString().replace(File.separatorChar, '/'));
        return Optional.ofNullable(
                baseModel != null ? baseModel : cached.find() ? cached.group(1) + "/" + cached.group(2) : null);
    }

    /** Returns the name of the matrix. */
    private String judgeSoftmax() {
        try (Backend backend = device.start(common::tell);
                CompressedFile compressed = CompressedFile.open(file);
                Model model = Model.open(reference, compressed.vocabulary());
                HiddenStates states = HiddenStates.open(hidden)) {
            model.notes().forEach(common::tell);
            String name = tensor != null
                    ? tensor
                    : model.outputAmong(compressed.matrices().keySet());
            CompressedMatrix matrix = compressed.require(name);
            Evaluation evaluation = Softmax.evaluate(backend, model, compressed, name, states);
            Matrix dense = model.matrix(name);
            long[] perRow = counts == null ? null : CountsFile.read(counts, dense.rows(), common::tell);
            double error = GroupReduce.relativeError(backend, dense, perRow, 1, matrix);
            String weighting = counts == null ? "unweighted" : "count-weighted";
            document.put("tensor", name);
            showSize(name, dense.storedBytes(), matrix.bytes());
            Summary.lines(evaluation).forEach(common::print);
            common.print(weighting + " relative error: " + Texts.format("%.4f", error));
            document.put("weightedByCounts", counts != null);
            document.put("relativeError", error);
            document.putAll(Summary.document(evaluation));
            sections.add(EvaluationSections.matrices(compressed));
            String rounded = Texts.format("Relative error of the matrix, %s: %.4f.", weighting, error);
            sections.add(EvaluationSections.softmax(evaluation, name, hidden, rounded));
            if (Summary.Source.of(compressed.provenance(name), matrix).metric()) {
                limits.add("The compression was fitted to hidden states; on the same ones these figures flatter it.");
            }
            limits.add(
                    "Hidden states were those of the original model, so what other compressed matrices change of them is not in"
                            + " these figures.");
            return name;
        }
    }

    /** Returns the name of the matrix whose rows were looked up; {@code null} where a whole model was run. */
    private String judgeSentences() {
        SentenceScores found;
        List<String> messages = new ArrayList<>();
        try (Bar bar = Bar.start("eval", !common.json)) {
            found = sentences.run(reference, file, device.threadCount(), bar, messages::add);
        } finally {
            // After the bar is gone: a line in the middle of it would be torn.
            messages.forEach(common::tell);
        }
        if (SentenceComparison.isOnnx(file)) {
            long before = bytes(reference);
            long after = bytes(file);
            showSize(file.toString(), before, after);
            sections.add(EvaluationSections.files(before, after));
        } else {
            try (CompressedFile compressed = CompressedFile.open(file)) {
                CompressedMatrix matrix = compressed.require(found.matrix());
                Summary.Source source = Summary.Source.of(compressed.provenance(matrix.name()), matrix);
                document.put("tensor", matrix.name());
                showSize(matrix.name(), source.bytes(), matrix.bytes());
                sections.add(EvaluationSections.matrices(compressed));
            }
        }
        Path judged = sentences.sentences != null ? sentences.sentences : sentences.pairs;
        common.print("pooling: " + found.pooling());
        common.print(Texts.format(
                "cosine of %d sentences: mean %.5f, 1st percentile %.5f, worst %.5f: %s",
                found.sentences(), found.meanCosine(), found.lowCosine(), found.worstCosine(), found.worst()));
        if (found.cut() > 0) {
            common.print("cut to what the tokenizer leaves of a text: " + found.cut() + " sentences");
        }
        document.put("pooling", found.pooling());
        document.put("sentences", found.sentences());
        document.put("cut", found.cut());
        document.put("meanCosine", found.meanCosine());
        document.put("percentile1Cosine", found.lowCosine());
        document.put("worstCosine", found.worstCosine());
        document.put("worstSentence", found.worst());
        sections.add(EvaluationSections.sentences(found, judged));
        SentenceScores.Ranks ranks = found.ranks();
        if (ranks != null) {
            common.print(Texts.format(
                    "Spearman's correlation of %d pairs, x 100: %s -> %s, %s (%s)",
                    ranks.pairs(),
                    EvaluationSections.points(ranks.before()),
                    EvaluationSections.points(ranks.after()),
                    Figures.estimate(ranks.difference(), EvaluationSections::signedPoints),
                    ranks.columns()));
            document.put("pairs", ranks.pairs());
            document.put("columns", ranks.columns());
            document.put("spearmanBefore", 100 * ranks.before());
            document.put("spearmanAfter", 100 * ranks.after());
            Summary.put(document, "spearmanChange", ranks.difference().map(value -> 100 * value));
            sections.add(EvaluationSections.pairs(ranks, sentences.pairs));
        }
        limits.add("Text of other kinds, in other languages and for other tasks was not looked at.");
        return found.matrix();
    }

    private void showSize(String name, long before, long after) {
        common.print(Texts.format(
                "%s: %s -> %s, %.2f times smaller",
                name, Figures.bytes(before), Figures.bytes(after), (double) before / after));
        document.put("sourceBytes", before);
        document.put("bytes", after);
        document.put("ratio", (double) before / after);
    }

    private static long bytes(Path model) {
        return files(model).stream().mapToLong(part -> part.toFile().length()).sum();
    }

    /** An ONNX model with its external data. */
    private static List<Path> files(Path model) {
        try (OnnxFile opened = OnnxFile.open(model)) {
            return opened.files();
        }
    }
}
