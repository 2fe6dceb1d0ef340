package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A model directory as a pattern for another one: the same files under the same names, but other weights. Shards stay shards, the index lists
 * what they hold now, configuration and tokenizer are copied. {@code config.json} of a compressed one says so where programs look for a
 * quantization that they may not know.
 */
public final class ModelFolder {
    /** Writes what takes the place of a file of weights. */
    @FunctionalInterface
    public interface Weights {
        void write(Path source, Path target);
    }

    private static final String SUFFIX = ".safetensors";
    /** The same weights in the form of another program. */
    private static final Pattern OTHER_WEIGHTS = Pattern.compile(
            ".*\\.(bin|pt|pth|ckpt|h5|msgpack|onnx|onnx[._]data|gguf|tflite|ot|npz|mlmodel|pkl)(\\.index\\.json)?");
    /** Put behind the first brace of {@code config.json}: by it programs tell that the weights are not plain. */
    private static final String MARK = "\n  \"quantization_config\": {\n    \"quant_method\": \"groupreduce\"\n  }";

    private static final String INDEX_END = ".json";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path directory;
    private final List<Path> weights;
    private final Path index;

    private ModelFolder(ModelDirectory.Choice choice) {
        directory = choice.directory();
        weights = choice.files();
        index = choice.index() == null ? null : choice.index().file();
    }

    /**
     * The model of a directory.
     *
     * @throws InvalidDataException if it holds none, several, or one of which a part is missing
     */
    public static ModelFolder of(Path directory) {
        return new ModelFolder(ModelDirectory.of(directory));
    }

    /** Whether an output is a directory: where the input is one and the name is not that of a file, of weights or one that is there. */
    public static boolean isWanted(Path input, Path output) {
        return Files.isDirectory(input)
                && !Files.isRegularFile(output)
                && !output.toString().toLowerCase(Locale.ROOT).endsWith(SUFFIX);
    }

    /** Files that {@link #copy} leaves out, as paths in the directory. */
    public List<String> leftOut() {
        return others().stream()
                .filter(file -> !isCopied(file))
                .map(file -> directory.relativize(file).toString())
                .toList();
    }

    /** Bytes of the files that are copied as they are. */
    public long copiedBytes() {
        long bytes = 0;
        try {
            for (Path file : others()) {
                bytes += isCopied(file) ? Files.size(file) : 0;
            }
        } catch (IOException e) {
            throw Wording.cannotRead(directory, e);
        }
        return bytes;
    }

    /**
     * Writes a directory like this one, whole or not at all.
     *
     * @param target claimed with {@link OutputFile#claimDirectory}
     * @param replaced the files of weights that are written anew; the others are copied
     * @param compressed whether what is written is a compressed model; else it is plain
     * @throws FileAccessException if it cannot be written, or a file of this directory cannot be read
     */
    public void copy(OutputFile target, List<Path> replaced, Weights writer, boolean compressed) {
        try (TemporaryFile temporary = target.temporary()) {
            Path folder = Files.createDirectory(temporary.path());
            for (Path file : weights) {
                Path to = place(folder, file);
                if (replaced.contains(file)) {
                    writer.write(file, to);
                    removeIfEmpty(to);
                } else {
                    Files.copy(file, to);
                }
            }
            for (Path file : others()) {
                if (isCopied(file)) {
                    Files.copy(file, place(folder, file));
                }
            }
            Path config = folder.resolve(ModelConfig.NAME);
            if (Files.exists(config)) {
                mark(config, compressed);
            }
            if (index != null) {
                writeIndex(folder);
            }
            verify(folder, compressed);
            put(folder, target);
        } catch (IOException e) {
            throw Wording.cannotWrite(target.path(), 0, e);
        }
    }

    /** A shard without tensors, which an index does not list. */
    private void removeIfEmpty(Path shard) throws IOException {
        boolean empty;
        try (Safetensors written = Safetensors.open(shard)) {
            empty = written.tensors().isEmpty();
        }
        if (empty && index != null) {
            Files.delete(shard);
        }
    }

    private Path place(Path folder, Path file) throws IOException {
        Path place = folder.resolve(directory.relativize(file).toString());
        Files.createDirectories(place.getParent());
        return place;
    }

    /** What lies there beside the weights and their index. */
    private List<Path> others() {
        try (Stream<Path> files = Files.walk(directory, FileVisitOption.FOLLOW_LINKS)) {
            return files.filter(Files::isRegularFile)
                    .filter(file -> !weights.contains(file) && !file.equals(index) && !isHidden(file))
                    .sorted()
                    .toList();
        } catch (UncheckedIOException e) {
            throw Wording.cannotRead(directory, e.getCause());
        } catch (IOException e) {
            throw Wording.cannotRead(directory, e);
        }
    }

    /** In a folder such as {@code .git} or {@code .cache}. */
    private boolean isHidden(Path file) {
        for (Path folder = directory.relativize(file).getParent(); folder != null; folder = folder.getParent()) {
            if (folder.getFileName().toString().startsWith(".")) {
                return true;
            }
        }
        return false;
    }

    /** The parts of a pipeline may lie in folders; weights beside the model's are other ones of it, or an adapter to it. */
    private boolean isCopied(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        boolean beside = file.getParent().equals(directory);
        return !OTHER_WEIGHTS.matcher(name).matches()
                && !(beside && (name.endsWith(SUFFIX) || name.contains(SUFFIX + ".index") && name.endsWith(INDEX_END)));
    }

    /** An index like the source's, with what the shards hold. */
    private void writeIndex(Path folder) throws IOException {
        Map<String, String> shardOf = new TreeMap<>();
        long bytes = 0;
        for (Path file : weights) {
            String shard = directory.relativize(file).toString();
            if (!Files.exists(folder.resolve(shard))) {
                continue;
            }
            try (Safetensors written = Safetensors.open(folder.resolve(shard))) {
                for (Tensor tensor : written.tensors().values()) {
                    shardOf.put(tensor.name(), shard);
                    bytes += tensor.bytes();
                }
            }
        }
        JsonNode source = JSON.readTree(Files.readAllBytes(index));
        ObjectNode written = source.deepCopy();
        ObjectNode metadata = source.path("metadata").isObject()
                ? (ObjectNode) written.path("metadata")
                : written.putObject("metadata");
        metadata.put("total_size", bytes);
        written.set("weight_map", JSON.valueToTree(shardOf));
        byte[] text = JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(written);
        Files.write(place(folder, index), text);
    }

    /** Adds the mark, or takes it away again, and leaves everything else of the text as it is. */
    private static void mark(Path config, boolean compressed) throws IOException {
        String text = Files.readString(config, StandardCharsets.UTF_8);
        String marked = text;
        if (!compressed) {
            marked = text.replace(MARK + ",", "").replace(MARK, "");
        } else if (ModelConfig.read(config).value("quantization_config").isMissingNode()) {
            int open = text.indexOf('{') + 1;
            boolean empty = text.substring(open).strip().equals("}");
            marked = text.substring(0, open) + MARK + (empty ? "" : ",") + text.substring(open);
        }
        if (!marked.equals(text)) {
            // A copy has the permissions of its source, by which it may not be written to.
            Files.delete(config);
            Files.writeString(config, marked, StandardCharsets.UTF_8);
            ModelConfig.read(config);
        }
    }

    private static void verify(Path folder, boolean compressed) {
        if (compressed) {
            CompressedFile.open(folder).close();
        } else {
            Model.open(folder).close();
        }
    }

    private static void put(Path folder, OutputFile target) throws IOException {
        Path place = target.file();
        if (!Files.exists(place)) {
            Files.move(folder, place, StandardCopyOption.ATOMIC_MOVE);
            return;
        }
        try (TemporaryFile earlier = target.temporary()) {
            Files.move(place, earlier.path(), StandardCopyOption.ATOMIC_MOVE);
            try {
                Files.move(folder, place, StandardCopyOption.ATOMIC_MOVE);
            } catch (IOException e) {
                Files.move(earlier.path(), place, StandardCopyOption.ATOMIC_MOVE);
                throw e;
            }
        }
    }

    /** Whether a directory is one that this class may replace: it holds a model. */
    static boolean isReplaceable(Path directory) {
        try {
            ModelDirectory.of(directory);
            return true;
        } catch (InvalidDataException | MalformedFileException e) {
            return false;
        }
    }

    /** Removes a directory with everything in it. */
    static void delete(Path directory) throws IOException {
        List<Path> files = new ArrayList<>();
        try (Stream<Path> found = Files.walk(directory)) {
            found.sorted(Comparator.reverseOrder()).forEach(files::add);
        }
        for (Path file : files) {
            Files.deleteIfExists(file);
        }
    }
}
