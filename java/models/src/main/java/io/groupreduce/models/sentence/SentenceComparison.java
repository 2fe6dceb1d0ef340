package io.groupreduce.models.sentence;

import io.groupreduce.api.Progress;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Model;
import io.groupreduce.format.Wording;
import io.groupreduce.models.export.OnnxExport;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.Place;
import io.groupreduce.models.onnx.Places;
import io.groupreduce.models.text.Tokenizer;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/** Runs an embedding model and its compressed form over the same sentences. */
public final class SentenceComparison {
    /** An embedding is padded by no more rows than this without a word. */
    private static final int PADDING = 1024;

    private final Path reference;
    private final Path small;
    private final Pooling pooling;
    private final int threads;

    /**
     * A comparison.
     *
     * @param reference the original, an ONNX model
     * @param small an ONNX model, or a file that {@code compress} wrote of the reference
     * @param pooling {@code null} to tell it by the outputs
     * @param threads how many sentences run at once
     */
    public SentenceComparison(Path reference, Path small, Pooling pooling, int threads) {
        this.reference = reference;
        this.small = small;
        this.pooling = pooling;
        this.threads = threads;
    }

    /** Whether a file means to be an ONNX model. */
    public static boolean isOnnx(Path file) {
        return file.toString().toLowerCase(Locale.ROOT).endsWith(".onnx");
    }

    /**
     * The lines of a text file, without blank ones.
     *
     * @throws InvalidDataException if there is none, or it is no UTF-8
     */
    public static List<String> sentences(Path file) {
        List<String> sentences = SentencePairs.text(file)
                .lines()
                .map(String::strip)
                .filter(line -> !line.isEmpty())
                .toList();
        if (sentences.isEmpty()) {
            throw new InvalidDataException(
                    Wording.file(file) + " holds no sentence, only blank lines; give one a line.");
        }
        return sentences;
    }

    /**
     * Runs both.
     *
     * @param sentences what cosines are told of; empty to take those of the pairs
     * @param pairs {@code null} for none
     * @param tell hears what the user should know, one sentence each
     * @throws InvalidDataException if models, tokenizer and compressed file do not belong together, or a model gives all pairs one cosine
     */
    public SentenceScores run(
            Path tokenizerFile, List<String> sentences, SentencePairs pairs, Progress progress, Consumer<String> tell) {
        Map<String, Integer> places = new LinkedHashMap<>();
        sentences.forEach(sentence -> places.putIfAbsent(sentence, places.size()));
        int given = places.size();
        if (pairs != null) {
            pairs.first().forEach(sentence -> places.putIfAbsent(sentence, places.size()));
            pairs.second().forEach(sentence -> places.putIfAbsent(sentence, places.size()));
        }
        List<String> all = List.copyOf(places.keySet());
        double[] cosines = new double[given == 0 ? all.size() : given];
        try (CompressedFile compressed = isOnnx(small) ? null : CompressedFile.open(small);
                OnnxExport placed = compressed == null ? null : new OnnxExport(compressed, reference);
                Arena arena = Arena.ofShared()) {
            List<int[]> tokens = new ArrayList<>();
            int cut = tokenize(tokenizerFile, all, tokens, tell);
            float[][] before;
            Pooling.Choice choice;
            try (SentenceModel model = SentenceModel.open(reference, pooling)) {
                choice = model.choice();
                before = model.vectors(tokens, threads, step(progress, "original", 0, all.size()));
            }
            float[][] after;
            try (SentenceModel model = placed == null
                    ? SentenceModel.open(small, pooling)
                    : new SentenceModel(small, placed.run(arena, choice.output(), 1), choice)) {
                after = model.vectors(tokens, threads, step(progress, "compressed", 0.5, all.size()));
            }
            if (before[0].length != after[0].length) {
                throw new InvalidDataException(Wording.file(small) + " makes vectors of " + after[0].length
                        + " numbers, " + Wording.file(reference) + " of " + before[0].length
                        + "; name the model that it was made from with --reference.");
            }
            Arrays.setAll(cosines, i -> cosine(before[i], after[i]));
            double[] sorted = cosines.clone();
            Arrays.sort(sorted);
            return new SentenceScores(
                    cosines.length,
                    cut,
                    Arrays.stream(cosines).sum() / cosines.length,
                    sorted[(cosines.length - 1) / 100],
                    sorted[0],
                    all.get(Arrays.stream(cosines).boxed().toList().indexOf(sorted[0])),
                    choice.words() + (choice.guessed() ? ", as its outputs suggest" : ""),
                    placed == null ? null : placed.matrices().get(0),
                    pairs == null ? null : ranks(pairs, places, before, after));
        }
    }

    /** Adds the tokens of each text, and returns how many texts were cut to what the tokenizer leaves. */
    private int tokenize(Path file, List<String> texts, List<int[]> tokens, Consumer<String> tell) {
        int cut = 0;
        try (Tokenizer tokenizer = Tokenizer.open(file)) {
            requireItsOwn(tokenizer, tell);
            for (String text : texts) {
                int[] ids = tokenizer.encode(text, true);
                if (ids.length == 0) {
                    throw new InvalidDataException(Wording.file(file) + " has no token at all for the sentence "
                            + Wording.quoted(text) + "; remove it, or take the model's own tokenizer.");
                }
                if (ids.length > tokenizer.longest()) {
                    ids = cut(ids, tokenizer.longest(), tokenizer.closesTexts());
                    cut++;
                }
                tokens.add(ids);
            }
        }
        return cut;
    }

    /** As tokenizers cut: from the end, but for the token that closes a text. */
    private static int[] cut(int[] tokens, int longest, boolean closes) {
        int[] cut = Arrays.copyOf(tokens, Math.max(1, longest));
        if (closes) {
            cut[cut.length - 1] = tokens[tokens.length - 1];
        }
        return cut;
    }

    private static IntConsumer step(Progress progress, String name, double begun, int count) {
        return done -> progress.at(name, begun + 0.5 * done / count);
    }

    private void requireItsOwn(Tokenizer tokenizer, Consumer<String> tell) {
        Place embedding;
        try (OnnxFile file = OnnxFile.open(reference)) {
            embedding = Places.find(file).stream()
                    .filter(place -> place.role() == Model.Role.EMBEDDING)
                    .findFirst()
                    .orElseThrow(() -> new InvalidDataException(Wording.file(reference)
                            + " looks token ids up in no matrix that is known for an embedding; name"
                            + " a model of text whose first layer is an embedding."));
        }
        String sizes = Wording.file(tokenizer.file()) + " has " + tokenizer.size() + " tokens, but the embedding "
                + Wording.quoted(embedding.tensor()) + " has " + embedding.rows() + " rows";
        if (tokenizer.size() > embedding.rows()) {
            throw new InvalidDataException(sizes + "; take the tokenizer that belongs to the model.");
        }
        if (embedding.rows() - tokenizer.size() > PADDING) {
            tell.accept(sizes + ": make sure that it belongs to the model.");
        }
    }

    private SentenceScores.Ranks ranks(
            SentencePairs pairs, Map<String, Integer> places, float[][] before, float[][] after) {
        double[] original = cosines(pairs, places, before, reference);
        double[] compressed = cosines(pairs, places, after, small);
        return new SentenceScores.Ranks(
                original.length,
                pairs.columns(),
                RankCorrelation.of(pairs.scores(), original),
                RankCorrelation.of(pairs.scores(), compressed),
                RankCorrelation.difference(pairs.scores(), original, compressed));
    }

    private static double[] cosines(SentencePairs pairs, Map<String, Integer> places, float[][] vectors, Path model) {
        double[] cosines = new double[pairs.scores().length];
        Arrays.setAll(
                cosines,
                i -> cosine(
                        vectors[places.get(pairs.first().get(i))],
                        vectors[places.get(pairs.second().get(i))]));
        if (Arrays.stream(cosines).distinct().count() < 2) {
            throw new InvalidDataException(Wording.file(model) + " gives all pairs the cosine " + cosines[0]
                    + ", so they have no order; check the model, or name another --pooling.");
        }
        return cosines;
    }

    private static double cosine(float[] a, float[] b) {
        double ab = 0;
        double aa = 0;
        double bb = 0;
        for (int j = 0; j < a.length; j++) {
            ab += (double) a[j] * b[j];
            aa += (double) a[j] * a[j];
            bb += (double) b[j] * b[j];
        }
        // Rounding may take it a little beyond 1.
        return Math.clamp(ab / Math.sqrt(aa * bb), -1, 1);
    }
}
