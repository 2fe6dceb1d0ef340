package io.groupreduce.format;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The files of a model, found and opened: which they are, whatever form the model comes in, and which tensor lies where. */
final class ModelFiles implements AutoCloseable {
    private static final String SINGLE = "model.safetensors";
    private static final List<String> PICKLE_SUFFIXES = List.of(".bin", ".pt", ".pth");

    private final Path path;
    /** Maps a NumPy file; safetensors files own their mappings. */
    private Arena numpy;

    private final List<Safetensors> parts = new ArrayList<>();
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final Map<String, Path> fileOf = new LinkedHashMap<>();
    private ModelConfig config;

    private ModelFiles(Path path) {
        this.path = path;
    }

    /** See {@link Model#open}. */
    static ModelFiles open(Path input) {
        ModelFiles files = new ModelFiles(input);
        try {
            if (Files.isDirectory(input)) {
                files.openDirectory();
            } else {
                files.openFile();
            }
            return files;
        } catch (Throwable e) {
            files.close();
            throw e;
        }
    }

    private void openFile() {
        config = ModelConfig.read(path.toAbsolutePath().getParent());
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
        config = ModelConfig.read(path);
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
        entries.stream().filter(ModelFiles::isPickle).findFirst().ifPresent(pickle -> {
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

    /** What {@code config.json} beside them says. */
    ModelConfig config() {
        return config;
    }

    /** Whether the input is a bare matrix, which has no name that could tell what it does. */
    boolean bareMatrix() {
        return numpy != null;
    }

    @Override
    public void close() {
        parts.forEach(Safetensors::close);
        if (numpy != null && numpy.scope().isAlive()) {
            numpy.close();
        }
    }
}
