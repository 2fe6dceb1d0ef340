package io.groupreduce.format;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.MalformedFileException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;

/** The files of a model, opened: whatever form the model comes in, and which tensor lies where. */
final class ModelFiles implements AutoCloseable {
    private final Path path;
    /** Maps a NumPy file; safetensors files own their mappings. */
    private Arena numpy;

    private final List<Safetensors> parts = new ArrayList<>();
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final Map<String, Path> fileOf = new LinkedHashMap<>();
    private final List<String> notes = new ArrayList<>();
    private ModelConfig config = ModelConfig.NONE;
    /** The whole model, where another format's reader has it. */
    private ForeignModel foreign;

    private ModelFiles(Path path) {
        this.path = path;
    }

    /** See {@link Model#open}. */
    static ModelFiles open(Path input, VocabularyChoice choice) {
        ModelFiles files = new ModelFiles(input);
        try {
            ModelDirectory.Choice listed =
                    Files.isDirectory(input) ? ModelDirectory.of(input) : ModelDirectory.ofIndex(input);
            if (listed != null) {
                files.openAll(listed);
            } else {
                files.openFile(choice);
            }
            return files;
        } catch (Throwable e) {
            files.close();
            throw e;
        }
    }

    private void openFile(VocabularyChoice choice) {
        Optional<ModelReader> reader = reader();
        if (reader.isPresent()) {
            foreign = reader.get().open(path, choice);
            tensors.putAll(foreign.tensors());
            tensors.keySet().forEach(name -> fileOf.put(name, foreign.fileOf(name)));
            notes.addAll(foreign.notes());
            return;
        }
        if (isNumpy()) {
            numpy = Arena.ofShared();
            tensors.put(NumpyFile.TENSOR, NumpyFile.open(path, numpy));
            fileOf.put(NumpyFile.TENSOR, path);
            return;
        }
        add(path, null);
        ModelDirectory.requireWhole(path);
        Path beside = path.toAbsolutePath().resolveSibling(ModelConfig.NAME);
        try {
            config = ModelConfig.read(beside);
        } catch (GroupReduceException e) {
            // It may have nothing to do with the file.
            notes.add(Wording.file(beside)
                    + " cannot be read and is left aside, so what it says of the model is not known.");
        }
    }

    private Optional<ModelReader> reader() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment content = InputFile.map(path, arena);
            ClassLoader loader = ModelReader.class.getClassLoader();
            ModuleLayer layer = ModelReader.class.getModule().getLayer();
            return (layer == null
                            ? ServiceLoader.load(ModelReader.class, loader)
                            : ServiceLoader.load(layer, ModelReader.class))
                    .stream()
                            .map(ServiceLoader.Provider::get)
                            .filter(reader -> reader.reads(path, content))
                            .findFirst();
        }
    }

    private boolean isNumpy() {
        if (path.toString().toLowerCase(Locale.ROOT).endsWith(".npy")) {
            return true;
        }
        try (Arena arena = Arena.ofConfined()) {
            return FileKind.isNumpy(InputFile.map(path, arena));
        }
    }

    private void openAll(ModelDirectory.Choice choice) {
        notes.addAll(choice.notes());
        int twice = 0;
        for (Path file : choice.files()) {
            twice += add(file, choice.index());
        }
        if (choice.index() != null) {
            choice.index().requirePlaces(fileOf);
        }
        if (twice > 0) {
            notes.add(Wording.file(path) + " has " + twice + (twice > 1 ? " tensors" : " tensor")
                    + " in two shards; what its index names is read.");
        }
        config = ModelConfig.read(choice.directory().resolve(ModelConfig.NAME));
    }

    /** Takes the tensors of a file; returns how many of them were there already, so that the index had to decide. */
    private int add(Path file, ShardIndex index) {
        Safetensors part = Safetensors.open(file);
        parts.add(part);
        int twice = 0;
        for (Tensor tensor : part.tensors().values()) {
            Path earlier = fileOf.get(tensor.name());
            Path place = index == null ? null : index.placeOf(tensor.name());
            if (earlier != null) {
                twice++;
                if (!earlier.equals(place) && !file.equals(place)) {
                    throw new MalformedFileException(Wording.file(path) + " has tensor " + Wording.quoted(tensor.name())
                            + " in two shards, " + Wording.file(earlier.getFileName()) + " and "
                            + Wording.file(file.getFileName()) + "; download the model again.");
                }
            }
            if (earlier == null || file.equals(place)) {
                tensors.remove(tensor.name()); // So that it stands among those of its file.
                tensors.put(tensor.name(), tensor);
                fileOf.put(tensor.name(), file);
            }
        }
        return twice;
    }

    /** The tensors of all files, file by file, each in the order of its data. */
    Map<String, Tensor> tensors() {
        return tensors;
    }

    /** The file that holds a tensor, by the tensor's name. */
    Map<String, Path> fileOf() {
        return fileOf;
    }

    /** The {@code __metadata__} of the first file; empty for a NumPy matrix. */
    Map<String, String> metadata() {
        return parts.isEmpty() ? Map.of() : parts.get(0).metadata();
    }

    /** The {@code __metadata__} of one file. */
    Map<String, String> metadata(Path file) {
        return parts.stream()
                .filter(part -> part.path().equals(file))
                .findFirst()
                .map(Safetensors::metadata)
                .orElse(Map.of());
    }

    /** What {@code config.json} beside them says. */
    ModelConfig config() {
        return config;
    }

    /** What the user should know of the choice of files, one sentence each. */
    List<String> notes() {
        return notes;
    }

    /** Whether the input is a bare matrix, which has no name that could tell what it does. */
    boolean bareMatrix() {
        return numpy != null;
    }

    /** The model in another format; {@code null} for ours. */
    ForeignModel foreign() {
        return foreign;
    }

    @Override
    public void close() {
        if (foreign != null) {
            foreign.close();
        }
        parts.forEach(Safetensors::close);
        if (numpy != null && numpy.scope().isAlive()) {
            numpy.close();
        }
    }
}
