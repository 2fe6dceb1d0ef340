package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.InputFile;
import io.groupreduce.format.Wording;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** The files beside a model that hold numbers of its tensors. */
final class ExternalData {
    private final Path model;
    private final Arena arena;
    private final Map<Path, MemorySegment> mapped = new HashMap<>();

    ExternalData(Path model, Arena arena) {
        this.model = model;
        this.arena = arena;
    }

    OnnxFile.Numbers of(TensorProto tensor) {
        Map<String, String> where = new HashMap<>();
        for (StringStringEntryProto entry : tensor.getExternalDataList()) {
            where.put(entry.getKey(), entry.getValue());
        }
        String location = where.getOrDefault("location", "");
        String label = Wording.file(model) + ": tensor " + Wording.quoted(tensor.getName());
        Path file = inside(label, location);
        MemorySegment data = mapped.get(file);
        if (data == null) {
            if (!Files.exists(file)) {
                throw new FileAccessException(label + " has its numbers in " + Wording.quoted(location)
                        + ", which is not there; put it beside the model.");
            }
            data = InputFile.map(file, arena);
            mapped.put(file, data);
        }
        try {
            long offset = Long.parseLong(where.getOrDefault("offset", "0"));
            long length = Long.parseLong(where.getOrDefault("length", Long.toString(data.byteSize() - offset)));
            return new OnnxFile.Numbers(data.asSlice(offset, length), file);
        } catch (NumberFormatException | IndexOutOfBoundsException e) {
            throw new MalformedFileException(
                    label + " lies beyond the end of " + Wording.quoted(location) + " or has no proper place in it;"
                            + " download it again.",
                    e);
        }
    }

    /** The file of a location, which must not lead out of the model's folder. Links that lie there may: download caches have such. */
    private Path inside(String label, String location) {
        Path folder = model.toAbsolutePath().normalize().getParent();
        try {
            Path file = folder.resolve(location).normalize();
            boolean inside = !location.isEmpty() && !Path.of(location).isAbsolute() && file.startsWith(folder);
            if (inside && !file.equals(folder)) {
                return file;
            }
        } catch (InvalidPathException e) {
            // Said below.
        }
        throw new InvalidDataException(label + " has its numbers in " + Wording.quoted(location)
                + ", which is no file in the model's folder; nothing outside it is read.");
    }
}
