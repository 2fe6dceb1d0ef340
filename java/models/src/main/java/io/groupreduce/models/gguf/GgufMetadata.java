package io.groupreduce.models.gguf;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.LittleEndian;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;

/** What a GGUF file says of its model: keys and values. Values are read where they lie when they are asked for. */
public final class GgufMetadata {
    /** How deep arrays may hold arrays. */
    private static final int DEEPEST = 8;

    /** Kinds of values, in the order of their numbers. */
    private enum Kind {
        UINT8(1),
        INT8(1),
        UINT16(2),
        INT16(2),
        UINT32(4),
        INT32(4),
        FLOAT32(4),
        BOOL(1),
        /** Eight bytes of length and the text. */
        STRING(8),
        /** Kind and length. */
        ARRAY(12),
        UINT64(8),
        INT64(8),
        FLOAT64(8);

        /** At least. */
        final int bytes;

        Kind(int bytes) {
            this.bytes = bytes;
        }
    }

    /** A pair lies from {@code start} to {@code end}, its value from {@code at} on. */
    private record Value(Kind kind, long start, long at, long end) {}

    private final Path file;
    private final MemorySegment content;
    private final Map<String, Value> values = new LinkedHashMap<>();

    /** Reads as many pairs as there are from where the cursor stands. */
    GgufMetadata(Path file, MemorySegment content, GgufCursor cursor, long pairs) {
        this.file = file;
        this.content = content;
        for (long i = 0; i < pairs; i++) {
            long start = cursor.at();
            String key = cursor.text();
            Kind kind = kind(key, cursor.int32());
            long at = cursor.at();
            skip(key, kind, cursor, 0);
            if (values.put(key, new Value(kind, start, at, cursor.at())) != null) {
                throw new MalformedFileException(
                        Wording.file(file) + " has two values of " + Wording.quoted(key) + "; download it again.");
            }
        }
    }

    private Kind kind(String key, int number) {
        if (number < 0 || number >= Kind.values().length) {
            throw new MalformedFileException(Wording.file(file) + " is damaged: the value of " + Wording.quoted(key)
                    + " is of a kind " + Integer.toUnsignedString(number) + " that there is not; download it again.");
        }
        return Kind.values()[number];
    }

    private void skip(String key, Kind kind, GgufCursor cursor, int depth) {
        if (kind == Kind.STRING) {
            cursor.skipText();
        } else if (kind != Kind.ARRAY) {
            cursor.take(kind.bytes);
        } else if (depth == DEEPEST) {
            throw new MalformedFileException(Wording.file(file) + " is damaged: the value of " + Wording.quoted(key)
                    + " holds arrays in arrays more than " + DEEPEST + " deep; download it again.");
        } else {
            Kind elements = kind(key, cursor.int32());
            long count = cursor.count("values of " + Wording.quoted(key), elements.bytes);
            if (elements != Kind.STRING && elements != Kind.ARRAY) {
                cursor.take(count * elements.bytes);
                return;
            }
            for (long i = 0; i < count; i++) {
                skip(key, elements, cursor, depth + 1);
            }
        }
    }

    /** All keys in the order of the file. */
    public Set<String> keys() {
        return Collections.unmodifiableSet(values.keySet());
    }

    /** Key and value as they are stored. */
    MemorySegment pair(String key) {
        Value value = values.get(key);
        return content.asSlice(value.start, value.end - value.start);
    }

    /** @throws InvalidDataException if the value is no text */
    public Optional<String> text(String key) {
        Value value = values.get(key);
        if (value != null && value.kind != Kind.STRING) {
            throw wrong(key, value, "a text");
        }
        return Optional.ofNullable(value).map(v -> cursor(v).text());
    }

    /**
     * A whole number; a logical value counts as 0 or 1.
     *
     * @throws InvalidDataException if the value is something else
     */
    public OptionalLong integer(String key) {
        Value value = values.get(key);
        if (value == null) {
            return OptionalLong.empty();
        }
        if (isFraction(value.kind) || value.kind == Kind.STRING || value.kind == Kind.ARRAY) {
            throw wrong(key, value, "a whole number");
        }
        return OptionalLong.of(integer(value.kind, value.at));
    }

    /** @throws InvalidDataException if the value is no number */
    public OptionalDouble number(String key) {
        Value value = values.get(key);
        if (value == null) {
            return OptionalDouble.empty();
        }
        if (!isNumber(key)) {
            throw wrong(key, value, "a number");
        }
        return OptionalDouble.of(number(value.kind, value.at));
    }

    /** Whether there is a value of that key, and it is a number and no logical value. */
    public boolean isNumber(String key) {
        Value value = values.get(key);
        return value != null && value.kind != Kind.STRING && value.kind != Kind.ARRAY && value.kind != Kind.BOOL;
    }

    /** The number of values in an array; empty if there is none of that key. */
    public OptionalLong length(String key) {
        return values.containsKey(key) ? OptionalLong.of(array(key).length) : OptionalLong.empty();
    }

    /**
     * An array of texts, which tokens and merges are; empty if there is none of that key.
     *
     * @throws InvalidDataException if the value is something else
     */
    public List<String> texts(String key) {
        if (!values.containsKey(key)) {
            return List.of();
        }
        Elements elements = array(key);
        if (elements.kind != Kind.STRING) {
            throw wrong(key, values.get(key), "an array of texts");
        }
        List<String> texts = new ArrayList<>(Math.toIntExact(elements.length));
        GgufCursor cursor = new GgufCursor(file, content, elements.at);
        for (long i = 0; i < elements.length; i++) {
            texts.add(cursor.text());
        }
        return texts;
    }

    /**
     * An array of numbers, which scores and kinds of tokens are; empty if there is none of that key.
     *
     * @throws InvalidDataException if the value is something else
     */
    public double[] numbers(String key) {
        if (!values.containsKey(key)) {
            return new double[0];
        }
        Elements elements = array(key);
        if (elements.kind == Kind.STRING || elements.kind == Kind.ARRAY) {
            throw wrong(key, values.get(key), "an array of numbers");
        }
        double[] numbers = new double[Math.toIntExact(elements.length)];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = number(elements.kind, elements.at + (long) i * elements.kind.bytes);
        }
        return numbers;
    }

    private record Elements(Kind kind, long length, long at) {}

    private Elements array(String key) {
        Value value = values.get(key);
        if (value.kind != Kind.ARRAY) {
            throw wrong(key, value, "an array");
        }
        GgufCursor cursor = cursor(value);
        Kind kind = kind(key, cursor.int32());
        return new Elements(kind, cursor.int64(), cursor.at());
    }

    private GgufCursor cursor(Value value) {
        return new GgufCursor(file, content, value.at);
    }

    private static boolean isFraction(Kind kind) {
        return kind == Kind.FLOAT32 || kind == Kind.FLOAT64;
    }

    private double number(Kind kind, long at) {
        return switch (kind) {
            case FLOAT32 -> content.get(LittleEndian.F32, at);
            case FLOAT64 -> content.get(LittleEndian.F64, at);
            default -> integer(kind, at);
        };
    }

    private long integer(Kind kind, long at) {
        return switch (kind) {
            case UINT8, BOOL -> Byte.toUnsignedLong(content.get(ValueLayout.JAVA_BYTE, at));
            case INT8 -> content.get(ValueLayout.JAVA_BYTE, at);
            case UINT16 -> Short.toUnsignedLong(content.get(LittleEndian.I16, at));
            case INT16 -> content.get(LittleEndian.I16, at);
            case UINT32 -> Integer.toUnsignedLong(content.get(LittleEndian.I32, at));
            case INT32 -> content.get(LittleEndian.I32, at);
            default -> content.get(LittleEndian.I64, at);
        };
    }

    private InvalidDataException wrong(String key, Value value, String wanted) {
        return new InvalidDataException(Wording.file(file) + ": the value of " + Wording.quoted(key) + " is of kind "
                + value.kind + " where " + wanted + " is needed; convert the model again.");
    }
}
