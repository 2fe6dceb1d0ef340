package io.groupreduce.models.gguf;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.format.ForeignModel;
import io.groupreduce.format.ModelReader;
import io.groupreduce.matrix.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Locale;

/** Reads GGUF models. */
public final class GgufReader implements ModelReader {
    @Override
    public boolean reads(Path file, MemorySegment content) {
        return content.byteSize() >= Integer.BYTES && content.get(LittleEndian.I32, 0) == GgufPart.MAGIC
                || file.toString().toLowerCase(Locale.ROOT).endsWith(".gguf");
    }

    @Override
    public ForeignModel open(Path file, VocabularyChoice choice) {
        GgufFile gguf = GgufFile.open(file);
        try {
            return new GgufModel(gguf, choice);
        } catch (Throwable e) {
            gguf.close();
            throw e;
        }
    }
}
