package io.groupreduce.format;

import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
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

    /** In the heads of masked language models: BERT, DistilBERT, RoBERTa, ELECTRA, DeBERTa. */
    private static final Pattern TRANSFORM = Pattern.compile(
            "(?:.*\\.)?(?:predictions\\.transform\\.dense|vocab_transform|lm_head\\.dense|generator_predictions\\.dense)\\.weight");

    private final Path path;
    private final ModelFiles files;
    private final Map<String, Tensor> tensors;
    private Map<String, String> duplicates;

    private Model(Path path, ModelFiles files) {
        this.path = path;
        this.files = files;
        tensors = Collections.unmodifiableMap(files.tensors());
    }

    /**
     * Opens a {@code .safetensors} file, a {@code .npy} file, an index ({@code model.safetensors.index.json}) with its shards, or a
     * directory with one of these: {@code model.safetensors} or its index where there is such, else the only model there, which may also
     * be all shards {@code X-0000i-of-0000n.safetensors} without an index. Of a download cache of the Hugging Face hub it is the current
     * snapshot.
     *
     * @throws FileAccessException if it is missing or unreadable
     * @throws MalformedFileException if a file is damaged, the index is wrong, or it is something else, such as a PyTorch pickle
     * @throws InvalidDataException if a directory holds no model or several, a shard is missing, or the file is one shard, an adapter, or
     *     the state of a training
     */
    public static Model open(Path input) {
        Objects.requireNonNull(input, "input");
        return MappedFiles.reading(() -> new Model(input, ModelFiles.open(input)));
    }

    /** The input as it was named: a file or a directory. */
    public Path path() {
        return path;
    }

    /** What the user should know of the files that are read and those that are not, one sentence each. */
    public List<String> notes() {
        return Collections.unmodifiableList(files.notes());
    }

    /** The tensors of all files, file by file, each in the order of its data. */
    public Map<String, Tensor> tensors() {
        return tensors;
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
        return files.fileOf().get(require(tensor).name());
    }

    /** The {@code __metadata__} of the first file; empty for a NumPy matrix. */
    public Map<String, String> metadata() {
        return files.metadata();
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
            for (Tensor output : files.config().tiesEmbeddings() ? withRole(Role.OUTPUT) : List.<Tensor>of()) {
                withRole(Role.EMBEDDING).stream()
                        .filter(embedding -> embedding.sameContent(output))
                        .findFirst()
                        .ifPresent(embedding -> found.put(output.name(), embedding.name()));
            }
            duplicates = Collections.unmodifiableMap(found);
        }
        return duplicates;
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

    /**
     * How the model makes logits of a matrix; of one that hidden states do not meet they are plain.
     *
     * @throws InvalidDataException if there is no such matrix, or a tensor is named like its bias and cannot be that
     */
    public Logits logits(String tensor) {
        Tensor matrix = require(tensor);
        if (!isMatrix(matrix) || !servesAsOutput(tensor)) {
            return Logits.PLAIN;
        }
        Tensor bias = SoftmaxBias.find(Wording.file(path), tensors, matrix).orElse(null);
        boolean shared = role(tensor) == Role.EMBEDDING;
        return LogitsConfig.read(files.config(), matrix.shape()[1], shared, bias == null ? null : bias.name());
    }

    /** The numbers of the bias that {@link #logits} names; {@code null} for none. */
    public float[] bias(Logits logits) {
        return logits.bias() == null ? null : SoftmaxBias.values(tensors.get(logits.bias()));
    }

    /**
     * The softmax that a matrix serves, on these states: the factor of its logits is in the states, {@code scale * (A h) = A (scale h)}.
     *
     * @throws InvalidDataException if its logits cannot be computed
     */
    public SoftmaxData softmax(String tensor, HiddenStates states) {
        Logits logits = logits(tensor);
        logits.requireComputable(Wording.file(fileOf(tensor)) + ": tensor " + Wording.quoted(tensor));
        return new SoftmaxData(states.hidden().times(logits.scale()), states.targets(), bias(logits));
    }

    /** A layer that states pass after the last one of the model and before its output, if the names tell one. */
    public Optional<String> transform() {
        return tensors.keySet().stream()
                .filter(name -> TRANSFORM.matcher(name).matches())
                .findFirst();
    }

    /** Biases that the softmax of {@link #logits} might have instead, for all their names tell. */
    public Map<String, float[]> otherBiases(String tensor) {
        String known = logits(tensor).bias();
        Map<String, float[]> others = new LinkedHashMap<>();
        SoftmaxBias.unnamed(tensors, require(tensor).shape()[0])
                .filter(bias -> !bias.name().equals(known))
                .forEach(bias -> others.put(bias.name(), SoftmaxBias.values(bias)));
        return others;
    }

    private List<Tensor> withRole(Role role) {
        return tensors.values().stream()
                .filter(t -> t.type().compressible() && isMatrix(t))
                .filter(t -> !files.bareMatrix() ? VocabularyNames.tells(t.name(), role) : role == Role.OUTPUT)
                .toList();
    }

    /** Unmaps all files; may be called again. */
    @Override
    public synchronized void close() {
        files.close();
    }
}
