package io.groupreduce.format;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.groupreduce.CompressedMatrix;
import io.groupreduce.InvalidDataException;
import io.groupreduce.MalformedFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * A compressed model: a safetensors file whose {@code groupreduce} metadata says which tensors stand for a matrix in grouped
 * low-rank form. Opening maps the file and copies only group numbers and right factors; closing unmaps it, and the matrices
 * must not be used afterwards.
 */
public final class CompressedFile implements AutoCloseable {
    /** The metadata key of the JSON document. */
    public static final String METADATA_KEY = "groupreduce";

    /** The newest format version this software reads, and the one it writes. */
    public static final int FORMAT_VERSION = 1;

    private final Safetensors file;
    private final JsonNode document;
    private final Map<String, CompressedMatrix> matrices;
    private final Map<String, Tensor> copied;

    private CompressedFile(
            Safetensors file, JsonNode document, Map<String, CompressedMatrix> matrices, Map<String, Tensor> copied) {
        this.file = file;
        this.document = document;
        this.matrices = matrices;
        this.copied = copied;
    }

    /**
     * Opens and checks a compressed file.
     *
     * @throws MalformedFileException if it is not a safetensors file, or its parts do not fit each other
     * @throws InvalidDataException if it is a safetensors file that holds nothing compressed, or is of a newer version
     */
    public static CompressedFile open(Path path) {
        Safetensors file = Safetensors.open(path);
        try {
            JsonNode document = document(file);
            Map<String, Tensor> rest = new LinkedHashMap<>(file.tensors());
            Map<String, CompressedMatrix> matrices = new LinkedHashMap<>();
            for (Map.Entry<String, JsonNode> entry : document.path("tensors").properties()) {
                CompressedLayout layout = new CompressedLayout(path, entry.getKey(), entry.getValue(), rest);
                matrices.put(entry.getKey(), layout.read());
            }
            return new CompressedFile(file, document, matrices, rest);
        } catch (RuntimeException e) {
            file.close();
            throw e;
        }
    }

    /** Whether a safetensors file says that it holds compressed matrices. */
    public static boolean isCompressed(Safetensors file) {
        return file.metadata().containsKey(METADATA_KEY);
    }

    private static JsonNode document(Safetensors file) {
        String text = file.metadata().get(METADATA_KEY);
        if (text == null) {
            throw new InvalidDataException(
                    file.path() + " holds no compressed matrix; give a file that 'groupreduce compress' wrote.");
        }
        JsonNode document;
        try {
            document = new ObjectMapper().readTree(text);
        } catch (JsonProcessingException e) {
            throw new MalformedFileException(
                    file.path() + " has a 'groupreduce' metadata entry that is not JSON; the file is damaged.", e);
        }
        int version = document.path("format").asInt(0);
        if (version < 1 || !document.path("tensors").isObject()) {
            throw new MalformedFileException(file.path()
                    + " has a 'groupreduce' metadata entry without a format version or tensors; the file is damaged.");
        }
        if (version > FORMAT_VERSION) {
            throw new InvalidDataException(file.path() + " is of format version " + version
                    + ", but this software reads up to " + FORMAT_VERSION + "; install a newer version.");
        }
        return document;
    }

    /**
     * Writes a compressed model under its final name in one step.
     *
     * @param entries the compressed matrices with their provenance
     * @param copied tensors to store as they are
     * @param metadata metadata to keep from the source
     * @param tied tensors that are not stored because they equal another one: name to the name of the stored one
     */
    public static void write(
            Path target,
            List<CompressedEntry> entries,
            List<Tensor> copied,
            Map<String, String> metadata,
            Map<String, String> tied) {
        ObjectMapper mapper = new ObjectMapper();
        Map<String, Object> tensors = new LinkedHashMap<>();
        List<Tensor> all = new ArrayList<>(copied);
        for (CompressedEntry entry : entries) {
            tensors.put(entry.matrix().name(), entry.document());
            all.addAll(CompressedLayout.tensors(entry.matrix()));
        }
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("format", FORMAT_VERSION);
        document.put("software", CompressedEntry.softwareVersion());
        document.put("tensors", tensors);
        if (!tied.isEmpty()) {
            document.put("tied", new TreeMap<>(tied));
        }
        // Widest elements first, so that every tensor lies at a multiple of its element size.
        all.sort((a, b) -> Integer.compare(b.type().bytes(), a.type().bytes()));
        Map<String, String> merged = new LinkedHashMap<>(metadata);
        try {
            merged.put(METADATA_KEY, mapper.writeValueAsString(document));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("the metadata of " + target + " cannot be written as JSON", e);
        }
        SafetensorsWriter.write(target, all, merged);
    }

    public Path path() {
        return file.path();
    }

    /** The compressed matrices by tensor name. */
    public Map<String, CompressedMatrix> matrices() {
        return Collections.unmodifiableMap(matrices);
    }

    /**
     * The compressed matrix of this name; a tied name finds the one that stands for it.
     *
     * @throws InvalidDataException if there is none; the message lists what there is
     */
    public CompressedMatrix require(String name) {
        CompressedMatrix found = matrices.get(tied().getOrDefault(name, name));
        if (found == null) {
            throw new InvalidDataException(path() + " holds no compressed matrix '" + name + "'; it holds "
                    + String.join(", ", matrices.keySet()) + ".");
        }
        return found;
    }

    /** Tensors stored as they were. */
    public Map<String, Tensor> copied() {
        return Collections.unmodifiableMap(copied);
    }

    /** A tensor stored as it was, if it is there. */
    public Optional<Tensor> copied(String name) {
        return Optional.ofNullable(copied.get(name));
    }

    /** Metadata of the source that was kept. */
    public Map<String, String> sourceMetadata() {
        Map<String, String> kept = new LinkedHashMap<>(file.metadata());
        kept.remove(METADATA_KEY);
        return kept;
    }

    /** Names that are not stored because they equal another tensor, and which one. */
    public Map<String, String> tied() {
        Map<String, String> tied = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> entry : document.path("tied").properties()) {
            tied.put(entry.getKey(), entry.getValue().asText());
        }
        return tied;
    }

    /** What the file says about a compressed matrix: method, options, sizes, losses. */
    public JsonNode provenance(String name) {
        return document.path("tensors").path(name);
    }

    @Override
    public void close() {
        file.close();
    }
}
