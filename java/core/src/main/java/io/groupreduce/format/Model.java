package io.groupreduce.format;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The tensors of a model, whatever form it comes in: one safetensors file, a model directory with one or several, or a
 * NumPy matrix. All files stay mapped until {@link #close()}; any number of threads may read.
 */
public final class Model implements AutoCloseable {
    /** What a vocabulary matrix does. */
    public enum Role {
        /** Maps tokens to vectors on the way in. */
        EMBEDDING,
        /** Maps hidden states to the scores of all tokens: the softmax matrix. */
        OUTPUT
    }

    private static final String SINGLE = "model.safetensors";
    private static final List<String> PICKLE_SUFFIXES = List.of(".bin", ".pt", ".pth");

    private final Path path;
    /** Maps a NumPy file; safetensors files own their mappings. */
    private Arena numpy;

    private final List<Safetensors> parts = new ArrayList<>();
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final Map<String, Path> fileOf = new LinkedHashMap<>();
    private boolean tied;
    private Map<String, String> duplicates;

    private Model(Path path) {
        this.path = path;
    }

    /**
     * Opens a {@code .safetensors} file, a {@code .npy} file, or a model directory with {@code model.safetensors}, with
     * {@code model.safetensors.index.json} and its shards, or with exactly one other {@code .safetensors} file.
     *
     * @throws FileAccessException if it is missing or unreadable
     * @throws MalformedFileException if a file is damaged, the index is wrong, or it is a PyTorch pickle
     * @throws InvalidDataException if a directory holds no model or several, or lacks a shard
     */
    public static Model open(Path input) {
        Objects.requireNonNull(input, "input");
        Model model = new Model(input);
        try {
            if (Files.isDirectory(input)) {
                model.openDirectory();
            } else {
                model.openFile();
            }
            return model;
        } catch (Throwable e) {
            model.close();
            throw e;
        }
    }

    private void openFile() {
        if (path.toString().toLowerCase(Locale.ROOT).endsWith(".npy")) {
            numpy = Arena.ofShared();
            tensors.put(NumpyFile.TENSOR, NumpyFile.open(path, numpy));
            fileOf.put(NumpyFile.TENSOR, path);
            return;
        }
        if (Files.exists(path) && isPickle(path.toString())) {
            throw new MalformedFileException(
                    Wording.file(path) + " is named like a PyTorch pickle; " + Wording.CONVERT);
        }
        add(path);
        tied = ModelConfig.tiesEmbeddings(path.toAbsolutePath().getParent());
    }

    private void openDirectory() {
        if (Files.exists(path.resolve(SINGLE))) {
            add(path.resolve(SINGLE));
        } else if (Files.exists(path.resolve(ShardIndex.NAME))) {
            ShardIndex index = ShardIndex.read(path);
            index.shards().forEach(this::add);
            index.requirePlaces(fileOf);
        } else {
            add(onlySafetensors());
        }
        tied = ModelConfig.tiesEmbeddings(path);
    }

    private Path onlySafetensors() {
        List<String> entries;
        try (Stream<Path> list = Files.list(path)) {
            entries = list.map(entry -> entry.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw Wording.cannotRead(path, e);
        }
        List<String> found =
                entries.stream().filter(name -> name.endsWith(".safetensors")).toList();
        if (found.size() == 1) {
            return path.resolve(found.get(0));
        }
        if (found.size() > 1) {
            String names = found.stream().limit(4).map(Wording::quoted).collect(Collectors.joining(", "));
            throw new InvalidDataException(Wording.file(path) + " holds " + found.size()
                    + " safetensors files and no index, among them " + names + "; name one of the files.");
        }
        entries.stream().filter(Model::isPickle).findFirst().ifPresent(pickle -> {
            throw new MalformedFileException(Wording.file(path) + " holds only the PyTorch pickle "
                    + Wording.quoted(pickle) + "; " + Wording.CONVERT);
        });
        throw new InvalidDataException(
                Wording.file(path) + " holds no .safetensors file; name a model directory or a model file.");
    }

    private static boolean isPickle(String file) {
        return PICKLE_SUFFIXES.stream().anyMatch(file.toLowerCase(Locale.ROOT)::endsWith);
    }

    private void add(Path file) {
        Safetensors part = Safetensors.open(file);
        parts.add(part);
        for (Tensor tensor : part.tensors().values()) {
            tensors.put(tensor.name(), tensor);
            Path earlier = fileOf.put(tensor.name(), file);
            if (earlier != null) {
                throw new MalformedFileException(Wording.file(path) + " has tensor " + Wording.quoted(tensor.name())
                        + " in two shards, " + Wording.file(earlier.getFileName()) + " and "
                        + Wording.file(file.getFileName()) + "; download the model again.");
            }
        }
    }

    /** The input as it was named: a file or a directory. */
    public Path path() {
        return path;
    }

    /** The tensors of all files, file by file, each in the order of its data. */
    public Map<String, Tensor> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** @throws InvalidDataException if there is no tensor of that name; the message lists names like it */
    public Tensor require(String name) {
        return Wording.require(path, "tensor", name, tensors);
    }

    /**
     * The file that holds a tensor.
     *
     * @throws InvalidDataException if there is no tensor of that name
     */
    public Path fileOf(String tensor) {
        return fileOf.get(require(tensor).name());
    }

    /** The {@code __metadata__} of the first file; empty for a NumPy matrix. */
    public Map<String, String> metadata() {
        return parts.isEmpty() ? Map.of() : parts.get(0).metadata();
    }

    /**
     * The embedding and output matrices found by name, of type F32, F16 or BF16: embeddings first. A matrix that is stored
     * twice because the model ties it is listed once, as the embedding. Of a NumPy file: its matrix.
     */
    public List<Tensor> compressible() {
        Stream<Tensor> outputs =
                withRole(Role.OUTPUT).stream().filter(t -> !duplicates().containsKey(t.name()));
        return Stream.concat(withRole(Role.EMBEDDING).stream(), outputs).toList();
    }

    /**
     * Matrices that are named like an embedding or an output but have a type other than F32, F16 or BF16, such as F64 or an
     * 8-bit float: why {@link #compressible()} may lack what a user expects there.
     */
    public List<Tensor> namedButUnsupported() {
        return tensors.values().stream()
                .filter(t -> !t.type().compressible() && isMatrix(t))
                .filter(t -> VocabularyNames.role(t.name()).isPresent())
                .toList();
    }

    private static boolean isMatrix(Tensor tensor) {
        return tensor.shape().length == 2 && tensor.elements() > 0;
    }

    /** Output matrices that repeat an embedding byte for byte in a model that ties them: output name to embedding name. */
    public synchronized Map<String, String> duplicates() {
        if (duplicates == null) {
            Map<String, String> found = new LinkedHashMap<>();
            for (Tensor output : tied ? withRole(Role.OUTPUT) : List.<Tensor>of()) {
                withRole(Role.EMBEDDING).stream()
                        .filter(embedding -> sameContent(embedding, output))
                        .findFirst()
                        .ifPresent(embedding -> found.put(output.name(), embedding.name()));
            }
            duplicates = Collections.unmodifiableMap(found);
        }
        return duplicates;
    }

    private static boolean sameContent(Tensor a, Tensor b) {
        return a.type() == b.type()
                && Arrays.equals(a.shape(), b.shape())
                && a.data().mismatch(b.data()) < 0;
    }

    /**
     * The role of a tensor by its name; one whose name tells nothing counts as an output.
     *
     * @throws InvalidDataException if there is no tensor of that name
     */
    public Role role(String tensor) {
        return VocabularyNames.role(require(tensor).name()).orElse(Role.OUTPUT);
    }

    /**
     * Whether hidden states meet this tensor: an output, or an embedding that is the model's output as well, because the two
     * are stored as duplicates or no output matrix is stored at all.
     *
     * @throws InvalidDataException if there is no tensor of that name
     */
    public boolean servesAsOutput(String tensor) {
        return role(tensor) == Role.OUTPUT
                || duplicates().containsValue(tensor)
                || tensors.values().stream()
                        .noneMatch(t -> isMatrix(t) && VocabularyNames.tells(t.name(), Role.OUTPUT));
    }

    private List<Tensor> withRole(Role role) {
        return tensors.values().stream()
                .filter(t -> t.type().compressible() && isMatrix(t))
                .filter(t -> numpy == null ? VocabularyNames.tells(t.name(), role) : role == Role.OUTPUT)
                .toList();
    }

    /** Unmaps all files; may be called again. */
    @Override
    public synchronized void close() {
        parts.forEach(Safetensors::close);
        if (numpy != null && numpy.scope().isAlive()) {
            numpy.close();
        }
    }
}
