package io.groupreduce.format;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Decides which tensors of a model are its embeddings and outputs, which of them are the same, and which one hidden states meet. Names
 * are looked up in {@link VocabularyNames}; what they tell is held against shapes, types, contents and {@code config.json}, and a user's
 * choice goes before all of that.
 */
final class VocabularyFinder {
    /** Vocabularies are padded, and some models have a few rows more in the embedding. */
    private static final int PADDING_SHARE = 8;

    private static final int LEAST_PADDING = 16;

    private final Path path;
    private final Map<String, Tensor> tensors;
    private final ModelConfig config;
    private final VocabularyChoice choice;
    private final String modelType;
    private final Set<Long> configured;
    private final Map<String, VocabularyNames.Named> named = new LinkedHashMap<>();
    private final List<Candidate> candidates = new ArrayList<>();
    private final List<VocabularyMatrix> found;

    /** A matrix that is looked at; the fields become those of {@link VocabularyMatrix}. */
    private static final class Candidate {
        final Tensor tensor;
        final Model.Role role;
        final boolean taken;
        final String why;
        /** Whether it is the output, or may be, so that no embedding is. */
        final boolean output;

        Candidate original;
        boolean servesAsOutput;

        Candidate(Tensor tensor, Model.Role role, boolean taken, boolean output, String why) {
            this.tensor = tensor;
            this.role = role;
            this.taken = taken;
            this.output = output;
            this.why = why;
        }

        boolean isTaken(Model.Role wanted) {
            return taken && role == wanted;
        }

        String name() {
            return tensor.name();
        }
    }

    /** {@code bare}: the only tensor is a matrix without a name of its own, which counts as an output. */
    VocabularyFinder(
            Path path, Map<String, Tensor> tensors, ModelConfig config, VocabularyChoice choice, boolean bare) {
        this.path = path;
        this.tensors = tensors;
        this.config = config;
        this.choice = choice;
        modelType = config.value("model_type").asText("");
        configured = config.numbers(VocabularyNames.listed("rows"), VocabularyNames.listed("rows-not-in"));
        if (bare) {
            tensors.values().stream()
                    .map(t -> new Candidate(t, Model.Role.OUTPUT, true, true, "is a bare matrix"))
                    .forEach(candidates::add);
        }
        tensors.keySet().forEach(name -> VocabularyNames.of(name, modelType).ifPresent(n -> named.put(name, n)));
        Set<Long> rows = configured.isEmpty() ? believedRows() : configured;
        named.forEach((name, told) -> judge(tensors.get(name), told, rows));
        Stream.of(choice.input(), choice.output()).forEach(this::addChosen);
        addUnknownForms();
        addUnknown();
        tie();
        serve();
        found = inOrder();
    }

    /** All that is known of the vocabulary matrices, in the order of the tensors. */
    List<VocabularyMatrix> found() {
        return found;
    }

    private List<VocabularyMatrix> inOrder() {
        List<String> order = List.copyOf(tensors.keySet());
        return candidates.stream()
                .sorted(Comparator.comparingInt(c -> order.indexOf(c.name())))
                .map(c -> new VocabularyMatrix(
                        c.tensor,
                        c.role,
                        c.taken,
                        c.servesAsOutput,
                        c.original == null ? null : c.original.name(),
                        !c.taken
                                || hasAdapter(c)
                                || named.containsKey(c.name())
                                        && named.get(c.name()).isSpecial(),
                        c.taken && hasAdapter(c) ? "has an adapter beside it, which stays as it is" : c.why))
                .toList();
    }

    /** Without a configuration: the rows of what has a name that can be believed, else of the tallest. */
    private Set<Long> believedRows() {
        Set<Long> believed = new LinkedHashSet<>();
        long tallest = 0;
        for (Map.Entry<String, VocabularyNames.Named> entry : named.entrySet()) {
            VocabularyNames.Named told = entry.getValue();
            Tensor tensor = tensors.get(entry.getKey());
            if (told.role() == null
                    || told.inLayer()
                    || told.unusable(false) != null
                    || !tensor.isMatrix()
                    || tensor.shape()[1] == 1) {
                continue;
            }
            if (!told.sized()) {
                believed.add(tensor.shape()[0]);
            }
            tallest = Math.max(tallest, tensor.shape()[0]);
        }
        return believed.isEmpty() ? Set.of(tallest) : believed;
    }

    private void judge(Tensor tensor, VocabularyNames.Named told, Set<Long> rows) {
        if (tensor.name().equals(choice.output()) || tensor.name().equals(choice.input())) {
            return;
        }
        if (told.role() == null || told.inLayer()) {
            boolean tall = tensor.isMatrix() && isTall(tensor);
            if (tall
                    && (rows.contains(tensor.shape()[0])
                            || told.part() != null && told.lookedLike() != null && !told.inLayer())) {
                String why = told.role() == null ? told.text() : "belongs to a layer, to judge by its name";
                candidates.add(new Candidate(tensor, null, false, false, why));
            }
            return;
        }
        if (tensor.shape().length < 2) {
            return;
        }
        boolean output = told.role() == Model.Role.OUTPUT;
        boolean fits = tensor.isMatrix() && rows.stream().anyMatch(r -> fits(tensor.shape()[0], r));
        String wrong = told.unusable(fits) == null ? unusable(tensor, told) : told.unusable(fits);
        if (wrong == null && !tensor.isMatrix()) {
            wrong = told.sized()
                    ? ""
                    : "has shape " + Wording.shape(tensor.shape()) + ", which is no matrix [rows, columns]";
        } else if (wrong == null && !fits && !(configured.isEmpty() && !told.sized())) {
            wrong = "has " + tensor.shape()[0] + " rows where "
                    + (configured.isEmpty() ? "the vocabulary has " : "config.json gives the vocabulary ")
                    + rows.stream().map(String::valueOf).collect(Collectors.joining(" or "))
                    + (isTransposed(tensor, rows)
                            ? "; it is stored transposed, [D, N]"
                            : "; if it is right, name it with --tensor");
            output &= isTransposed(tensor, rows) || !told.sized();
        }
        if (wrong == null && isOverruled(told.role())) {
            wrong = "is not the " + told.role().name().toLowerCase(Locale.ROOT) + " that was named";
            output = false;
        }
        if (wrong == null) {
            String why = told.isSpecial()
                    ? told.text()
                    : "is named like an " + told.role().name().toLowerCase(Locale.ROOT);
            candidates.add(new Candidate(tensor, told.role(), true, output, why));
        } else if (!wrong.isEmpty()) {
            candidates.add(new Candidate(tensor, told.role(), false, output, wrong));
        }
    }

    /** Why a matrix of a known name cannot be compressed; {@code null} if it can. */
    private String unusable(Tensor tensor, VocabularyNames.Named told) {
        if (named.values().stream().filter(told::excludes).count() > 1) {
            return told.text() == null ? "is one of several of such a name" : told.text();
        }
        List<String> twins = named.entrySet().stream()
                .filter(e -> e.getValue().module().equals(told.module())
                        && tensors.get(e.getKey()).isMatrix())
                .map(Map.Entry::getKey)
                .toList();
        Optional<String> saved =
                twins.stream().filter(t -> t.contains("modules_to_save.")).findFirst();
        if (saved.isPresent() && !saved.get().equals(tensor.name())) {
            return "is replaced by " + Wording.quoted(saved.get());
        }
        return UnusableType.of(tensor, tensors.keySet());
    }

    private boolean isOverruled(Model.Role role) {
        return (role == Model.Role.OUTPUT ? choice.output() : choice.input()) != null;
    }

    private void addChosen(String name) {
        if (name == null || candidates.stream().anyMatch(c -> c.name().equals(name))) {
            return;
        }
        Tensor tensor = tensors.get(name);
        String wrong = !tensor.isMatrix()
                ? "has shape " + Wording.shape(tensor.shape()) + ", which is no matrix [rows, columns]"
                : UnusableType.of(tensor, tensors.keySet());
        if (wrong != null) {
            throw new InvalidDataException(Wording.file(path) + ": tensor " + Wording.quoted(name) + " " + wrong + ".");
        }
        boolean embedding = name.equals(choice.input())
                || VocabularyNames.of(name, modelType)
                                .map(VocabularyNames.Named::role)
                                .orElse(null)
                        == Model.Role.EMBEDDING;
        candidates.add(new Candidate(
                tensor,
                embedding ? Model.Role.EMBEDDING : Model.Role.OUTPUT,
                true,
                name.equals(choice.output()),
                "was named as " + (name.equals(choice.output()) ? "output" : "embedding")));
    }

    /** An output of which no tensor has a form that is known is there all the same. */
    private void addUnknownForms() {
        Map<String, Candidate> largest = new LinkedHashMap<>();
        for (Tensor tensor : tensors.values()) {
            if (!named.containsKey(tensor.name())) {
                VocabularyNames.inUnknownForm(tensor.name(), modelType)
                        .ifPresent(told -> largest.merge(
                                told.module(),
                                new Candidate(tensor, Model.Role.OUTPUT, false, true, told.unusable(false)),
                                (a, b) -> a.tensor.bytes() >= b.tensor.bytes() ? a : b));
            }
        }
        named.values().forEach(known -> largest.remove(known.module()));
        candidates.addAll(largest.values());
    }

    /** Matrices of the vocabulary's size under a name that tells nothing: where no output is known, one may be it. */
    private void addUnknown() {
        List<long[]> known = candidates.stream()
                .filter(c -> c.taken)
                .map(c -> c.tensor.shape())
                .toList();
        Set<String> seen = candidates.stream().map(Candidate::name).collect(Collectors.toSet());
        boolean output = choice.output() == null && candidates.stream().noneMatch(c -> c.output);
        Map<String, Long> alike = tensors.keySet().stream()
                .flatMap(name -> VocabularyNames.numbered(name).stream())
                .collect(Collectors.groupingBy(name -> name, Collectors.counting()));
        for (Tensor tensor : tensors.values()) {
            String name = tensor.name();
            if (!named.containsKey(name)
                    && !seen.contains(name)
                    && tensor.isMatrix()
                    && isLikeVocabulary(tensor.shape(), known)
                    && !VocabularyNames.isInLayer(name)
                    && VocabularyNames.numbered(name).map(alike::get).orElse(1L) == 1) {
                String why = "has the vocabulary's size under a name that tells nothing; "
                        + (output
                                ? "if it is the output, say so with --output-tensor"
                                : "name it with --tensor to compress it");
                candidates.add(new Candidate(tensor, null, false, output, why));
            }
        }
    }

    private boolean isLikeVocabulary(long[] shape, List<long[]> known) {
        return known.isEmpty()
                ? shape[1] > 1 && shape[0] != shape[1] && configured.contains(shape[0])
                : known.stream()
                        .anyMatch(e -> shape[1] == e[1] && (fits(shape[0], e[0]) || configured.contains(shape[0]))
                                || shape[0] == e[1] && fits(shape[1], e[0]));
    }

    /** What repeats another matrix byte for byte is stored once: as the embedding, or else as the first of them. */
    private void tie() {
        List<Candidate> originals = new ArrayList<>();
        for (Model.Role role : Model.Role.values()) {
            for (Candidate candidate : candidates) {
                if (candidate.isTaken(role)) {
                    candidate.original = originals.stream()
                            .filter(o -> sameContent(o.tensor, candidate.tensor))
                            .findFirst()
                            .orElse(null);
                    if (candidate.original == null) {
                        originals.add(candidate);
                    }
                }
            }
        }
    }

    private static boolean sameContent(Tensor a, Tensor b) {
        return a.type() == b.type()
                && Arrays.equals(a.shape(), b.shape())
                && a.data().mismatch(b.data()) < 0;
    }

    /** Says which matrices hidden states meet. */
    private void serve() {
        List<Candidate> outputs = candidates.stream()
                .filter(c -> c.taken && c.output && !hasAdapter(c))
                .toList();
        if (outputs.isEmpty() && embeddingRefused() == null) {
            outputs = eligibleEmbeddings();
        }
        for (Candidate output : outputs) {
            output.servesAsOutput = true;
            if (output.original != null) {
                output.original.servesAsOutput = true;
            }
        }
    }

    /** Embeddings that are the output where none is stored: not those of an encoder beside a decoder's. */
    private List<Candidate> eligibleEmbeddings() {
        List<Candidate> all = candidates.stream()
                .filter(c -> c.isTaken(Model.Role.EMBEDDING) && c.original == null && !isInput(c))
                .toList();
        List<Candidate> decoders =
                all.stream().filter(c -> !c.name().contains("encoder.")).toList();
        return decoders.isEmpty() ? all : decoders;
    }

    private boolean isInput(Candidate candidate) {
        VocabularyNames.Named told = named.get(candidate.name());
        return hasAdapter(candidate) || (told != null && told.input());
    }

    private boolean hasAdapter(Candidate candidate) {
        VocabularyNames.Named told = named.get(candidate.name());
        return told != null && named.values().stream().anyMatch(n -> n.module().startsWith(told.module() + ".lora_"));
    }

    /**
     * Why no embedding is taken for the output though no output can be used: words that make a sentence after the name of the hidden
     * states. {@code null} if one is.
     */
    String embeddingRefused() {
        for (Candidate candidate : candidates) {
            String name = Wording.quoted(candidate.name());
            if (candidate.taken && hasAdapter(candidate)) {
                return "an adapter changes what " + name + " makes of them; merge it into the model first";
            }
            if (candidate.output && !candidate.taken && candidate.role != null) {
                return "the output " + name + " " + candidate.why;
            }
        }
        boolean tied = tied().orElse(false);
        Optional<Candidate> unknown =
                candidates.stream().filter(c -> c.output && !tied).findFirst();
        if (unknown.isPresent()) {
            return Wording.quoted(unknown.get().name()) + " " + unknown.get().why;
        }
        return tied().orElse(true)
                ? null
                : "config.json says, or its model_type does, that the embedding is not the output, and no output is stored"
                        + " under a known name; name it with --output-tensor";
    }

    /** What {@code config.json}, or the family's habit, says of the embedding being the output. */
    private Optional<Boolean> tied() {
        for (String kind : List.of("tied", "untied")) {
            for (String key : VocabularyNames.listed(kind)) {
                if (config.value(key).isBoolean()) {
                    return Optional.of(config.value(key).booleanValue() == kind.equals("tied"));
                }
            }
        }
        return VocabularyNames.listed("untied-type").contains(modelType) ? Optional.of(false) : Optional.empty();
    }

    /** Neither a vector nor square. */
    private static boolean isTall(Tensor tensor) {
        return tensor.shape()[1] > 1 && tensor.shape()[1] != tensor.shape()[0];
    }

    /** Whether so many rows may be those of a vocabulary: all but some, or some more. */
    static boolean fits(long rows, long vocabulary) {
        return Math.abs(rows - vocabulary) <= Math.max(LEAST_PADDING, vocabulary / PADDING_SHARE);
    }

    private static boolean isTransposed(Tensor tensor, Set<Long> rows) {
        return rows.contains(tensor.shape()[1]);
    }
}
