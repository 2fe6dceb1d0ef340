package io.groupreduce.format;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** An index such as {@code model.safetensors.index.json}: which tensor lies in which shard of a model directory. */
final class ShardIndex {
    private final Path file;
    private final Map<String, String> shardOf = new LinkedHashMap<>();

    private ShardIndex(Path file) {
        this.file = file;
    }

    /** @throws MalformedFileException if the file is not a shard index, or names a file outside its directory */
    static ShardIndex read(Path file) {
        ShardIndex index = new ShardIndex(file);
        boolean found = false;
        try (JsonParser parser = InputFile.parser(InputFile.readJson(file, InputFile.LONGEST_JSON))) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw index.malformed("is not a JSON object");
            }
            for (String key = parser.nextFieldName(); key != null; key = parser.nextFieldName()) {
                parser.nextToken();
                if (key.equals("weight_map")) {
                    if (found) {
                        throw index.malformed("has two entries weight_map");
                    }
                    found = true;
                    index.readWeightMap(parser);
                } else {
                    parser.skipChildren();
                }
            }
        } catch (IOException e) {
            throw new MalformedFileException(Wording.file(file) + " is not valid JSON; download it again.", e);
        }
        if (!found || index.shardOf.isEmpty()) {
            throw index.malformed("has no weight_map that lists tensors");
        }
        return index;
    }

    private void readWeightMap(JsonParser parser) throws IOException {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            throw malformed("has a weight_map that is not a JSON object");
        }
        for (String tensor = parser.nextFieldName(); tensor != null; tensor = parser.nextFieldName()) {
            if (parser.nextToken() != JsonToken.VALUE_STRING) {
                throw malformed("lists no file name for tensor " + Wording.quoted(tensor));
            }
            if (shardOf.put(tensor, parser.getText()) != null) {
                throw malformed("lists tensor " + Wording.quoted(tensor) + " twice");
            }
        }
    }

    /**
     * The shards, by name.
     *
     * @throws InvalidDataException if one is missing
     */
    List<Path> shards() {
        return new TreeSet<>(shardOf.values())
                .stream().map(this::shard).distinct().toList();
    }

    /** The file that should hold a tensor; {@code null} for one that is not listed. */
    Path placeOf(String tensor) {
        String shard = shardOf.get(tensor);
        return shard == null ? null : file.resolveSibling(Path.of(shard).normalize());
    }

    /** The index itself. */
    Path file() {
        return file;
    }

    /** Whether a file is named as a shard. */
    boolean names(String shard) {
        return shardOf.containsValue(shard);
    }

    /** Whether a file is named as one of several shards. */
    boolean splits(String shard) {
        return names(shard) && new HashSet<>(shardOf.values()).size() > 1;
    }

    /** A symbolic link may lead elsewhere, as in a download cache; the index itself may not. */
    private Path shard(String name) {
        Path directory = file.resolveSibling("").normalize();
        Path shard;
        try {
            shard = file.resolveSibling(Path.of(name).normalize());
        } catch (InvalidPathException e) {
            throw malformed("names the shard " + Wording.quoted(name) + ", which is no file name");
        }
        boolean plain = !name.isBlank()
                && !Path.of(name).isAbsolute()
                && !Path.of(name).normalize().startsWith("..");
        if (!plain || shard.normalize().equals(directory)) {
            throw malformed("names the shard " + Wording.quoted(name) + ", which is not inside the model directory");
        }
        if (!Files.exists(shard)) {
            throw new InvalidDataException(Wording.file(file) + " names the shard " + Wording.quoted(name)
                    + ", which is missing; download it.");
        }
        return shard;
    }

    /**
     * Checks that every listed tensor lies where the index says.
     *
     * @param fileOf where tensors were found
     */
    void requirePlaces(Map<String, Path> fileOf) {
        for (Map.Entry<String, String> entry : shardOf.entrySet()) {
            Path found = fileOf.get(entry.getKey());
            if (found == null || !found.equals(placeOf(entry.getKey()))) {
                String where = found == null ? "no shard holds" : Wording.file(found.getFileName()) + " holds";
                throw malformed("lists tensor " + Wording.quoted(entry.getKey()) + " in shard "
                        + Wording.quoted(entry.getValue()) + ", but " + where + " it");
            }
        }
    }

    private MalformedFileException malformed(String what) {
        return new MalformedFileException(Wording.file(file) + " " + what + "; download the model again.");
    }
}
