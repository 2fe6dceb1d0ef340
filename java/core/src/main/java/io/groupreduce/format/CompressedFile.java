package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.groupreduce.api.CompressedModel;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.CompressedMatrix;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A compressed model: a safetensors file whose {@code groupreduce} metadata says which tensors stand for a matrix in grouped
 * low-rank form. Opening maps the file, copies group numbers and decodes right factors; left factors and dense rows stay in
 * the mapping and are not looked at before they are used. Closing unmaps the file, and matrices and tensors must not be used
 * afterwards.
 */
public final class CompressedFile implements CompressedModel {
    /** The metadata key of the JSON document. */
    public static final String METADATA_KEY = "groupreduce";

    /** The format version that is written, and the only one that is read. */
    public static final int FORMAT_VERSION = 3;

    /** A file with a document of its own; in a directory also those without one, whose document is {@code null}. */
    private record Part(Safetensors file, JsonNode document) {
        Map<String, String> sourceMetadata() {
            Map<String, String> kept = new LinkedHashMap<>(file.metadata());
            kept.remove(METADATA_KEY);
            return kept;
        }
    }

    private final Path path;
    private final List<Part> parts;
    /** Memory of what was packed. */
    private final Arena unpacked;

    /** By tensor, compressed or copied. */
    private final Map<String, Part> partOf = new LinkedHashMap<>();

    private final Map<String, CompressedMatrix> matrices = new LinkedHashMap<>();
    private final Map<String, Tensor> copied;
    private final Map<String, String> tied = new LinkedHashMap<>();
    private final Map<String, Logits> logits = new LinkedHashMap<>();

    private CompressedFile(Path path, List<Part> parts, Arena unpacked) {
        this.path = path;
        this.parts = parts;
        this.unpacked = unpacked;
        copied = new LinkedHashMap<>();
        for (Part part : parts) {
            for (Tensor tensor : part.file().tensors().values()) {
                if (copied.put(tensor.name(), tensor) != null) {
                    throw CompressedLayout.damaged(
                            path, "two files of it hold the tensor " + Wording.quoted(tensor.name()), null);
                }
                partOf.put(tensor.name(), part);
            }
        }
        described(CompressedDocument.TENSORS, this::readMatrix);
        requireSeparate();
        described(
                CompressedDocument.TIED,
                (part, entry) -> tie(entry.getKey(), entry.getValue().asText()));
        described(CompressedDocument.LOGITS, (part, entry) -> readLogits(entry));
        parts.stream().filter(part -> part.document() != null).forEach(this::countHeader);
    }

    /** Goes through the members of an object that documents have. */
    private void described(String object, BiConsumer<Part, Map.Entry<String, JsonNode>> reader) {
        for (Part part : parts) {
            JsonNode members = part.document() == null
                    ? MissingNode.getInstance()
                    : part.document().path(object);
            if (!members.isMissingNode() && !members.isObject()) {
                throw damaged("has " + object + " that are no object", null);
            }
            members.properties().forEach(entry -> reader.accept(part, entry));
        }
    }

    private void readMatrix(Part part, Map.Entry<String, JsonNode> entry) {
        String name = entry.getKey();
        CompressedLayout layout = new CompressedLayout(path(), name, entry.getValue(), copied);
        CompressedMatrix matrix = layout.read(unpacked);
        CompressedEntry.wrong(entry.getValue(), matrix).ifPresent(what -> {
            throw CompressedLayout.damaged(path(), "the metadata of " + Wording.quoted(name) + " " + what, null);
        });
        if (matrices.put(name, matrix) != null) {
            throw damaged("describes " + Wording.quoted(name) + " in two files", null);
        }
        partOf.put(name, part);
    }

    /**
     * Opens and checks a compressed file, or a directory of which one file or several are such. Left factors and dense rows are checked for
     * their shape, not number by number.
     *
     * @throws FileAccessException if it is missing or unreadable
     * @throws MalformedFileException if it is not a safetensors file, its parts do not fit each other, or a right factor, a
     *     scale or a bias is not finite
     * @throws InvalidDataException if it is a safetensors file that holds nothing compressed, is of another version, or a directory that
     *     holds no model or several
     */
    public static CompressedFile open(Path path) {
        return MappedFiles.reading(() -> openUnguarded(path));
    }

    private static CompressedFile openUnguarded(Path path) {
        List<Path> files = Files.isDirectory(path) ? ModelDirectory.of(path).files() : List.of(path);
        List<Part> parts = new ArrayList<>();
        Arena unpacked = Arena.ofShared();
        try {
            for (Path name : files) {
                Safetensors file = Safetensors.open(name);
                String text = file.metadata().get(METADATA_KEY);
                parts.add(new Part(file, null));
                if (text != null || files.size() == 1) {
                    parts.set(parts.size() - 1, new Part(file, CompressedDocument.read(name, text)));
                }
            }
            if (parts.stream().allMatch(part -> part.document() == null)) {
                CompressedDocument.read(path, null);
            }
            return new CompressedFile(path, parts, unpacked);
        } catch (Throwable e) {
            unpacked.close();
            parts.forEach(part -> part.file().close());
            throw e;
        }
    }

    /**
     * Tells every matrix its share of the header: the entries of its tensors and of its name in the document. What is there once for
     * all counts with the first. What is copied, tied names, logits and the source's metadata are no matrix's.
     */
    private void countHeader(Part part) {
        long common = part.file().headerBytes();
        JsonNode document = part.document();
        Map<String, Long> shares = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> entry :
                document.path(CompressedDocument.TENSORS).properties()) {
            String name = entry.getKey();
            long described = CompressedDocument.textBytes(Map.of(name, described(name)));
            shares.put(name, described);
            common -= described;
        }
        long at = 0;
        for (Tensor tensor : part.file().tensors().values()) {
            long entry = SafetensorsWriter.entryBytes(tensor, at);
            at += tensor.bytes();
            common -= entry;
            if (!copied.containsKey(tensor.name())) {
                String name = tensor.name().substring(0, tensor.name().lastIndexOf('.'));
                shares.merge(name, entry, Long::sum);
            }
        }
        for (String member : List.of(CompressedDocument.TIED, CompressedDocument.LOGITS)) {
            common -= document.has(member) ? CompressedDocument.textBytes(Map.of(member, document.path(member))) : 0;
        }
        for (Map.Entry<String, String> kept : part.sourceMetadata().entrySet()) {
            common -= SafetensorsWriter.memberBytes(kept);
        }
        for (Map.Entry<String, Long> share : shares.entrySet()) {
            long all = share.getValue() + common;
            matrices.computeIfPresent(share.getKey(), (name, matrix) -> matrix.withHeaderBytes(all));
            common = 0;
        }
    }

    /** A part that its matrix did not take, or a dense twin of a matrix, must not pass as a copied tensor. */
    private void requireSeparate() {
        for (String tensor : copied.keySet()) {
            String owner = CompressedLayout.owner(tensor).orElse(tensor);
            if (matrices.containsKey(owner)) {
                String what = "it holds the tensor " + Wording.quoted(tensor)
                        + ", which is no part of the compressed matrix " + Wording.quoted(owner);
                throw CompressedLayout.damaged(path(), what, null);
            }
        }
    }

    private void tie(String name, String stored) {
        if (!matrices.containsKey(stored) || matrices.containsKey(name) || copied.containsKey(name)) {
            throw damaged(
                    "ties " + Wording.quoted(name) + " to " + Wording.quoted(stored)
                            + " where only the second may be stored, compressed",
                    null);
        }
        tied.put(name, stored);
    }

    private void readLogits(Map.Entry<String, JsonNode> entry) {
        CompressedMatrix matrix = matrices.get(entry.getKey());
        try {
            if (matrix == null) {
                throw new IllegalArgumentException("are of no compressed matrix");
            }
            Logits read = Logits.read(entry.getValue());
            // A bias of the matrix's own stands in for the model's.
            if (read.bias() != null && matrix.bias() == null) {
                SoftmaxBias.requireFits(copied.get(read.bias()), matrix.rows());
            }
            logits.put(entry.getKey(), read);
        } catch (IllegalArgumentException e) {
            throw damaged("has logits of " + Wording.quoted(entry.getKey()) + " that " + e.getMessage(), e);
        }
    }

    private MalformedFileException damaged(String what, Throwable cause) {
        return CompressedDocument.damaged(path(), what, cause);
    }

    /**
     * Writes a compressed model under its final name in one step.
     *
     * @param entries the compressed matrices with their provenance; what is needed to read the parts is added to it
     * @param copied tensors to store as they are
     * @param metadata metadata to keep from the source
     * @param tied tensors that are not stored because they equal a compressed one: name to the name of that one
     * @throws InvalidDataException if a copied tensor is named like a part of a compressed matrix
     * @throws FileAccessException if the target cannot be written
     */
    public static void write(
            Path target,
            List<CompressedEntry> entries,
            List<Tensor> copied,
            Map<String, String> metadata,
            Map<String, String> tied) {
        List<Tensor> kept = new ArrayList<>(copied);
        Set<String> names = new LinkedHashSet<>();
        for (CompressedEntry entry : entries) {
            names.add(entry.matrix().name());
            // A bias of the matrix's own replaces one of the same name.
            String bias = entry.matrix().bias() == null
                    ? null
                    : CompressedLayout.biasOf(entry.matrix().name());
            kept.removeIf(tensor -> tensor.name().equals(bias));
        }
        requireDistinct(target, names, copied, metadata);
        Map<String, String> merged = new LinkedHashMap<>(metadata);
        merged.put(METADATA_KEY, CompressedDocument.write(entries, tied));
        try (Arena arena = Arena.ofShared()) {
            entries.forEach(entry -> kept.addAll(CompressedLayout.tensors(entry.matrix(), arena)));
            // Widest elements first, so that every tensor lies at a multiple of its element size.
            kept.sort((a, b) -> Integer.compare(b.type().bytes(), a.type().bytes()));
            SafetensorsWriter.write(target, kept, merged);
        }
    }

    /**
     * Checks the names of what shall be written, which is known before the matrices are compressed.
     *
     * @throws InvalidDataException if a copied tensor is named like a part of a compressed matrix, or a name or the metadata to
     *     keep is not Unicode text
     */
    public static void requireDistinct(
            Path target, Set<String> compressed, List<Tensor> copied, Map<String, String> metadata) {
        SafetensorsWriter.checkNames(target, copied, metadata);
        for (Tensor tensor : copied) {
            String owner = CompressedLayout.owner(tensor.name()).orElse(tensor.name());
            if (compressed.contains(owner)) {
                throw new InvalidDataException(Wording.file(target) + " cannot hold the tensor "
                        + Wording.quoted(tensor.name()) + " beside the compressed " + Wording.quoted(owner)
                        + ", whose parts have such names; leave it out or rename it.");
            }
        }
    }

    @Override
    public Path path() {
        return path;
    }

    @Override
    public Map<String, CompressedMatrix> matrices() {
        return Collections.unmodifiableMap(matrices);
    }

    @Override
    public CompressedMatrix require(String name) {
        return Wording.require(path(), "compressed matrix", tied.getOrDefault(name, name), matrices);
    }

    @Override
    public CompressedMatrix outputMatrix() {
        return matrix(Model.Role.OUTPUT);
    }

    @Override
    public CompressedMatrix embeddingMatrix() {
        return matrix(Model.Role.EMBEDDING);
    }

    private CompressedMatrix matrix(Model.Role role) {
        String word = role.name().toLowerCase(Locale.ROOT);
        boolean output = role == Model.Role.OUTPUT;
        Set<String> candidates =
                output && outputName().isPresent() ? Set.of(outputName().get()) : withRole(role);
        Optional<String> dense = copied.keySet().stream()
                .filter(name -> VocabularyNames.tells(name, role))
                .findFirst();
        if (candidates.isEmpty() && dense.isEmpty()) {
            candidates = matrices.size() == 1
                    ? matrices.keySet()
                    : withRole(output ? Model.Role.EMBEDDING : Model.Role.OUTPUT);
            candidates = candidates.stream()
                    .filter(name -> !output
                            || described(name).path(CompressedEntry.OUTPUT).asBoolean(true))
                    .collect(Collectors.toSet());
        }
        if (candidates.size() == 1) {
            return matrices.get(candidates.iterator().next());
        }
        String found = (candidates.isEmpty() ? dense : Optional.<String>empty())
                .map(name -> "its " + word + " matrix " + Wording.quoted(name) + " is not compressed")
                .orElse("the names do not tell which compressed matrix is the " + word);
        throw new InvalidDataException(Wording.file(path()) + " needs the name of a tensor: " + found + "; it has "
                + Wording.candidates("", matrices.keySet()) + "; name one.");
    }

    /** The matrix that hidden states meet, if the file says so of exactly one. */
    public Optional<String> outputName() {
        List<String> told = matrices.keySet().stream()
                .filter(name -> described(name).path(CompressedEntry.OUTPUT).asBoolean())
                .toList();
        return told.size() == 1 ? Optional.of(told.get(0)) : Optional.empty();
    }

    /** What the file says of the vocabulary matrices of the model that it was made from. */
    public VocabularyChoice vocabulary() {
        String output = outputName().orElse(null);
        return new VocabularyChoice(
                output, null, output == null ? null : logits(output).bias());
    }

    /** The compressed matrices with what the file says of them, to write them again as they are. */
    public List<CompressedEntry> entries() {
        return matrices.values().stream()
                .map(matrix -> new CompressedEntry(matrix, provenance(matrix.name()), logits(matrix.name())))
                .toList();
    }

    /** The stored matrices that have a name of this role, their own or one tied to them. */
    private Set<String> withRole(Model.Role role) {
        return Stream.concat(matrices.keySet().stream(), tied.keySet().stream())
                .filter(name -> VocabularyNames.tells(name, role))
                .map(name -> tied.getOrDefault(name, name))
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /**
     * How the model makes logits of a compressed matrix, as far as it is not calibrated.
     *
     * @throws InvalidDataException if there is no such matrix
     */
    public Logits logits(String name) {
        return logits.getOrDefault(require(name).name(), Logits.PLAIN);
    }

    @Override
    public Optional<float[]> softmaxBias(String name) {
        CompressedMatrix matrix = require(name);
        String models = logits(name).bias();
        return matrix.bias() != null
                ? Optional.of(matrix.bias())
                : Optional.ofNullable(models).map(copied::get).map(SoftmaxBias::values);
    }

    /** Tensors stored as they were. */
    public Map<String, Tensor> copied() {
        return Collections.unmodifiableMap(copied);
    }

    /** Metadata of the source that was kept; of a directory, that of its first file. */
    public Map<String, String> sourceMetadata() {
        return parts.get(0).sourceMetadata();
    }

    /** Metadata of the source that one of {@link #files} keeps. */
    public Map<String, String> sourceMetadata(Path file) {
        return parts.stream()
                .filter(part -> part.file().path().equals(file))
                .findFirst()
                .map(Part::sourceMetadata)
                .orElse(Map.of());
    }

    /** The files that were opened. */
    public List<Path> files() {
        return parts.stream().map(part -> part.file().path()).toList();
    }

    /** Whether a matrix of this name is compressed, or tied to one that is. */
    boolean has(String name) {
        return matrices.containsKey(tied.getOrDefault(name, name));
    }

    /** The file that holds a compressed matrix or a copied tensor. */
    public Path fileOf(String name) {
        return partOf.get(tied.getOrDefault(name, name)).file().path();
    }

    /** Names that are not stored because they equal a compressed matrix, and which one. */
    public Map<String, String> tied() {
        return Collections.unmodifiableMap(tied);
    }

    @Override
    public Map<String, Object> provenance(String name) {
        return CompressedDocument.members(described(require(name).name()));
    }

    /** {@link #provenance} as it stands in the document; of a name that is not compressed, a missing node. */
    JsonNode described(String name) {
        Part part = matrices.containsKey(name) ? partOf.get(name) : null;
        return part == null
                ? MissingNode.getInstance()
                : part.document().path(CompressedDocument.TENSORS).path(name);
    }

    @Override
    public void close() {
        if (unpacked.scope().isAlive()) {
            unpacked.close();
        }
        parts.forEach(part -> part.file().close());
    }
}
