package io.groupreduce.format;

import io.groupreduce.api.ModelFile;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The tensors of a model, whatever form it comes in, and what is known of them. */
public final class Model implements ModelFile {
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
    private final VocabularyChoice choice;
    private final Map<String, Tensor> tensors;
    /** Hidden states that were handed out. */
    private final List<HiddenStates> states = new ArrayList<>();

    private VocabularyFinder finder;

    private Model(Path path, ModelFiles files, VocabularyChoice choice) {
        this.path = path;
        this.files = files;
        this.choice = choice;
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
        return open(input, VocabularyChoice.NONE);
    }

    /**
     * Opens a model of which a user says what its matrices are.
     *
     * @throws InvalidDataException also if there is no tensor of a chosen name, or it is no matrix that can be compressed
     * @see #open(Path)
     */
    public static Model open(Path input, VocabularyChoice choice) {
        Objects.requireNonNull(input, "input");
        return MappedFiles.reading(() -> {
            Model model = new Model(input, ModelFiles.open(input, choice), choice);
            try {
                Stream.of(choice.output(), choice.input(), choice.bias())
                        .filter(Objects::nonNull)
                        .forEach(model::require);
                return model;
            } catch (Throwable e) {
                model.close();
                throw e;
            }
        });
    }

    /**
     * What a caller's model is behind its public face.
     *
     * @throws InvalidOptionException if it is none of ours
     */
    public static Model of(ModelFile model) {
        if (model instanceof Model ours) {
            return ours;
        }
        throw new InvalidOptionException(
                "The model " + model.path() + " cannot be read; take one from GroupReduce.openModel.");
    }

    @Override
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

    /** The files that hold tensors, in the order of {@link #tensors}. */
    public List<Path> files() {
        return files.fileOf().values().stream().distinct().toList();
    }

    /** The {@code __metadata__} of one of {@link #files}; empty for what is no safetensors file. */
    public Map<String, String> metadata(Path file) {
        return files.metadata(file);
    }

    /** Whether some of it is compressed already. */
    public boolean isCompressed() {
        return files().stream().anyMatch(file -> metadata(file).containsKey(CompressedFile.METADATA_KEY));
    }

    /** The {@code __metadata__} of the first file; empty for a NumPy matrix. */
    public Map<String, String> metadata() {
        return files.metadata();
    }

    /**
     * The matrices of the vocabulary, in the order of the tensors: those that are taken for embeddings and outputs, and those that may seem
     * to be such and are not.
     */
    public List<VocabularyMatrix> vocabulary() {
        return isForeign() ? files.foreign().vocabulary() : finder().found();
    }

    /** Whether it is of another format, whose file the rest of the model stays in. */
    public boolean isForeign() {
        return files.foreign() != null;
    }

    /** That other format, by the word that {@code export --to} knows it by. */
    public Optional<String> form() {
        return Optional.ofNullable(files.foreign()).map(ForeignModel::form);
    }

    private synchronized VocabularyFinder finder() {
        if (finder == null) {
            finder = new VocabularyFinder(path, tensors, files.config(), choice, files.bareMatrix());
        }
        return finder;
    }

    @Override
    public List<String> matrices() {
        return compressible().stream().map(Tensor::name).toList();
    }

    @Override
    public String outputMatrix() {
        return outputAmong(matrices());
    }

    @Override
    public Matrix matrix(String tensor) {
        return require(tensor).matrix(fileOf(tensor).toString()).ofTensor(tensor);
    }

    /** What was found about a tensor; empty if it is no matrix of the vocabulary. */
    public Optional<VocabularyMatrix> vocabularyMatrix(String tensor) {
        return vocabulary().stream()
                .filter(found -> found.tensor().name().equals(tensor))
                .findFirst();
    }

    /**
     * The embedding and output matrices, of type F32, F16 or BF16: embeddings first. What repeats another byte for byte is left out.
     * Of a NumPy file: its matrix.
     */
    public List<Tensor> compressible() {
        return Stream.of(Role.values())
                .flatMap(role -> vocabulary().stream()
                        .filter(found -> found.taken() && found.role() == role && found.tiedTo() == null))
                .map(VocabularyMatrix::tensor)
                .toList();
    }

    /** Matrices that repeat another byte for byte: the name of each to the name of that one. */
    public Map<String, String> duplicates() {
        Map<String, String> found = new LinkedHashMap<>();
        vocabulary().stream()
                .filter(matrix -> matrix.tiedTo() != null)
                .forEach(matrix -> found.put(matrix.tensor().name(), matrix.tiedTo()));
        return found;
    }

    /**
     * The role of a tensor; one of which nothing is known counts as an output.
     *
     * @throws InvalidDataException if there is no tensor of that name
     */
    public Role role(String tensor) {
        require(tensor);
        return vocabularyMatrix(tensor).map(VocabularyMatrix::role).orElse(Role.OUTPUT);
    }

    /**
     * Whether hidden states meet this tensor: an output, or an embedding that is the model's output as well, because the two
     * are stored as duplicates, or no output matrix is stored at all and nothing says that there is another. A matrix whose name tells
     * nothing may be the output where no other one is known to be.
     *
     * @throws InvalidDataException if there is no tensor of that name
     */
    public boolean servesAsOutput(String tensor) {
        return vocabularyMatrix(tensor)
                .filter(VocabularyMatrix::taken)
                .map(VocabularyMatrix::servesAsOutput)
                .orElseGet(() -> role(tensor) == Role.OUTPUT
                        && vocabulary().stream().noneMatch(VocabularyMatrix::servesAsOutput));
    }

    /**
     * How the model makes logits of a matrix; of one that hidden states do not meet they are plain.
     *
     * @throws InvalidDataException if there is no such matrix, or a tensor is named like its bias and cannot be that
     */
    public Logits logits(String tensor) {
        Tensor matrix = require(tensor);
        if (!matrix.isMatrix() || !servesAsOutput(tensor)) {
            return Logits.PLAIN;
        }
        if (isForeign()) {
            return files.foreign().logits(tensor);
        }
        Tensor bias = SoftmaxBias.find(Wording.file(path), tensors, matrix, choice.bias())
                .orElse(null);
        boolean shared = role(tensor) == Role.EMBEDDING || duplicates().containsKey(tensor);
        return LogitsConfig.read(files.config(), matrix.shape()[1], shared, bias == null ? null : bias.name());
    }

    /** Whether there is what tells a factor of the logits: {@code config.json}, or another format's own description. */
    public boolean isConfigured() {
        return isForeign() || files.config() != ModelConfig.NONE;
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

    @Override
    public synchronized SoftmaxData softmax(String tensor, Path hidden) {
        HiddenStates opened = HiddenStates.open(hidden);
        states.add(opened);
        return softmax(tensor, opened);
    }

    /** A layer that states pass after the last one of the model and before its output, if the names tell one. */
    public Optional<String> transform() {
        return tensors.keySet().stream()
                .filter(name -> TRANSFORM.matcher(name).matches())
                .findFirst();
    }

    /** Biases that the softmax of {@link #logits} might have instead, for all their names tell. */
    public Map<String, float[]> otherBiases(String tensor) {
        if (isForeign()) {
            return Map.of();
        }
        String known = logits(tensor).bias();
        Map<String, float[]> others = new LinkedHashMap<>();
        SoftmaxBias.unnamed(tensors, require(tensor).shape()[0])
                .filter(bias -> !bias.name().equals(known))
                .forEach(bias -> others.put(bias.name(), SoftmaxBias.values(bias)));
        return others;
    }

    /** Why hidden states meet no matrix of the model, without a full stop; empty if they meet one. */
    public Optional<String> withoutOutput() {
        if (isForeign()) {
            return files.foreign().withoutOutput();
        }
        return vocabulary().stream().anyMatch(VocabularyMatrix::servesAsOutput)
                ? Optional.empty()
                : Optional.ofNullable(finder().embeddingRefused());
    }

    /**
     * Of these tensors the one that hidden states meet; one that is known to be an output before others.
     *
     * @throws InvalidDataException if several could be, or none; the message says why, to go on after the name of the hidden states
     */
    public String outputAmong(Collection<String> names) {
        List<String> outputs = names.stream().filter(this::servesAsOutput).toList();
        List<String> known = outputs.stream()
                .filter(name -> vocabularyMatrix(name).isPresent())
                .toList();
        outputs = known.isEmpty() ? outputs : known;
        String listed = names.stream().map(Wording::quoted).collect(Collectors.joining(", "));
        if (outputs.isEmpty()) {
            throw new InvalidDataException("Hidden states meet the output matrix of " + Wording.file(path) + ", but "
                    + withoutOutput()
                            .orElse("none is among " + listed
                                    + "; name one with --tensor, or leave the hidden states out")
                    + ".");
        }
        if (outputs.size() > 1) {
            throw new InvalidDataException("Hidden states meet one matrix of " + Wording.file(path) + ", but each of "
                    + outputs.stream().map(Wording::quoted).collect(Collectors.joining(", "))
                    + " may be the output; say which with --output-tensor.");
        }
        return outputs.get(0);
    }

    @Override
    public synchronized void close() {
        states.forEach(HiddenStates::close);
        files.close();
    }
}
