package io.groupreduce.format;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.DType;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * The JSON header of a safetensors file, read as a stream so that a hostile one cannot grow in memory, and checked: the
 * tensors cover the data from its first byte to its last, each byte once.
 */
final class SafetensorsHeader {
    static final String METADATA = "__metadata__";
    private static final List<String> FIELDS = List.of("dtype", "shape", "data_offsets");

    private final Path file;
    private final long dataBytes;
    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();

    /** A tensor's place: bytes {@code begin} to {@code end}, exclusive, after the header. */
    record Entry(String name, DType type, long[] shape, long begin, long end) {}

    private SafetensorsHeader(Path file, long dataBytes) {
        this.file = file;
        this.dataBytes = dataBytes;
    }

    /**
     * Reads a header.
     *
     * @param dataBytes how many bytes follow the header in the file
     * @throws MalformedFileException for the first thing that is wrong
     */
    static SafetensorsHeader parse(Path file, byte[] json, long dataBytes) {
        SafetensorsHeader header = new SafetensorsHeader(file, dataBytes);
        try (JsonParser parser = InputFile.parser(json)) {
            header.readTop(parser);
        } catch (CharacterCodingException | CharConversionException e) {
            throw header.malformed("the header is not UTF-8 text", e);
        } catch (JsonProcessingException e) {
            long at = e.getLocation() == null ? -1 : e.getLocation().getCharOffset();
            throw header.malformed("the header is not valid JSON" + (at < 0 ? "" : " near character " + at), e);
        } catch (IOException e) {
            throw header.malformed("the header cannot be read", e);
        }
        return header;
    }

    /** The tensors, by rising place in the data. */
    List<Entry> entriesInOrder() {
        List<Entry> sorted = new ArrayList<>(entries.values());
        sorted.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        long covered = 0;
        String previous = null;
        for (Entry entry : sorted) {
            if (entry.begin() < covered) {
                throw malformed(of(entry.name()) + " overlaps " + of(previous));
            }
            if (entry.begin() > covered) {
                throw malformed("bytes " + covered + " to " + entry.begin() + " of the data belong to no tensor");
            }
            covered = entry.end();
            previous = entry.name();
        }
        if (covered != dataBytes) {
            throw malformed("the last " + (dataBytes - covered) + " bytes belong to no tensor");
        }
        return sorted;
    }

    Map<String, String> metadata() {
        return metadata;
    }

    private void readTop(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw malformed("the header is not a JSON object");
        }
        boolean described = false;
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            JsonToken value = parser.nextToken();
            if (name.equals(METADATA)) {
                if (described) {
                    throw malformed("the header has two entries " + METADATA);
                }
                described = true;
                readMetadata(parser, value);
            } else if (entries.put(name, readEntry(parser, name, value)) != null) {
                throw malformed("the header has two entries for " + of(name));
            }
        }
        if (parser.nextToken() != null) {
            throw malformed("the header goes on after its JSON object");
        }
    }

    private void readMetadata(JsonParser parser, JsonToken value) throws IOException {
        if (value == JsonToken.VALUE_NULL) {
            return;
        }
        if (value != JsonToken.START_OBJECT) {
            throw malformed(METADATA + " in the header is not a JSON object");
        }
        for (String key = parser.nextFieldName(); key != null; key = parser.nextFieldName()) {
            if (parser.nextToken() != JsonToken.VALUE_STRING) {
                throw malformed(METADATA + " value " + Wording.quoted(key) + " is not a string");
            }
            if (metadata.put(key, parser.getText()) != null) {
                throw malformed(METADATA + " has the key " + Wording.quoted(key) + " twice");
            }
        }
    }

    private Entry readEntry(JsonParser parser, String name, JsonToken value) throws IOException {
        if (value != JsonToken.START_OBJECT) {
            throw malformed("the header entry of " + of(name) + " is not a JSON object");
        }
        DType type = null;
        long[] shape = {};
        long[] offsets = {};
        Set<String> seen = new HashSet<>();
        for (String field = parser.nextFieldName(); field != null; field = parser.nextFieldName()) {
            parser.nextToken();
            if (FIELDS.contains(field) && !seen.add(field)) {
                throw malformed(of(name) + " has " + field + " twice");
            }
            switch (field) {
                case "dtype" -> type = readType(parser, name);
                case "shape" -> shape = readNumbers(parser, name, field);
                case "data_offsets" -> offsets = readNumbers(parser, name, field);
                default -> parser.skipChildren();
            }
        }
        for (String field : FIELDS) {
            if (!seen.contains(field)) {
                throw malformed(of(name) + " has no " + field);
            }
        }
        checkExtent(name, type, shape, offsets);
        return new Entry(name, type, shape, offsets[0], offsets[1]);
    }

    private DType readType(JsonParser parser, String name) throws IOException {
        if (parser.currentToken() != JsonToken.VALUE_STRING) {
            throw malformed("the dtype of " + of(name) + " is not a string");
        }
        String text = parser.getText();
        return DType.parse(text)
                .orElseThrow(() -> malformed(of(name) + " has the unknown dtype " + Wording.quoted(text)));
    }

    private long[] readNumbers(JsonParser parser, String name, String field) throws IOException {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            throw malformed(field + " of " + of(name) + " is not an array");
        }
        LongStream.Builder numbers = LongStream.builder();
        for (JsonToken t = parser.nextToken(); t != JsonToken.END_ARRAY; t = parser.nextToken()) {
            if (t != JsonToken.VALUE_NUMBER_INT) {
                throw malformed(field + " of " + of(name) + " holds something that is not a whole number");
            }
            if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
                throw malformed(field + " of " + of(name) + " holds a number beyond 2^63 - 1");
            }
            if (parser.getLongValue() < 0) {
                throw malformed(field + " of " + of(name) + " holds a negative number");
            }
            numbers.add(parser.getLongValue());
        }
        return numbers.build().toArray();
    }

    private void checkExtent(String name, DType type, long[] shape, long[] offsets) {
        if (offsets.length != 2) {
            throw malformed("data_offsets of " + of(name) + " has " + offsets.length + " numbers instead of 2");
        }
        long begin = offsets[0];
        long end = offsets[1];
        if (begin > end) {
            throw malformed("data_offsets of " + of(name) + " begin at " + begin + " and end before, at " + end);
        }
        if (end > dataBytes) {
            throw malformed("data_offsets of " + of(name) + " end at " + end + " but the file has only " + dataBytes
                    + " bytes of data");
        }
        long needed;
        try {
            needed = Tensor.storedBytes(type, shape);
        } catch (ArithmeticException e) {
            throw malformed("shape " + Wording.shape(shape) + " of " + of(name) + " has more elements than fit", e);
        }
        if (needed < 0) {
            throw malformed("shape " + Wording.shape(shape) + " of " + of(name) + " and type " + type
                    + " does not fill whole bytes");
        }
        if (needed != end - begin) {
            throw malformed(of(name) + " of type " + type + " and shape " + Wording.shape(shape) + " needs " + needed
                    + " bytes but its data_offsets span " + (end - begin));
        }
    }

    private static String of(String tensor) {
        return "tensor " + Wording.quoted(tensor);
    }

    private MalformedFileException malformed(String what) {
        return malformed(what, null);
    }

    private MalformedFileException malformed(String what, Throwable cause) {
        return new MalformedFileException(
                Wording.file(file) + " is a damaged safetensors file: " + what + "; write or download it again.",
                cause);
    }
}
