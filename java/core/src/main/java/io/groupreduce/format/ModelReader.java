package io.groupreduce.format;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/** Reads a format of models that is not safetensors or NumPy; found by {@link java.util.ServiceLoader}, in modules of our own. */
public interface ModelReader {
    /**
     * Whether a file is of this format, or means to be: told by its first bytes, or by its name where they tell nothing.
     *
     * @param content the whole file, mapped
     */
    boolean reads(Path file, MemorySegment content);

    /**
     * Opens a model.
     *
     * @param choice what a user says of its matrices; names in it that the model lacks are refused
     * @throws FileAccessException if a file is missing or unreadable
     * @throws MalformedFileException if it is damaged
     * @throws InvalidDataException if it is well-formed and of no use, which says what it is and what to do
     */
    ForeignModel open(Path file, VocabularyChoice choice);
}
