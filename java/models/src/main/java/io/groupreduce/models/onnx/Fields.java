package io.groupreduce.models.onnx;

import com.google.protobuf.WireFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** The fields of a message of protocol buffers, one after the other, without what they hold being parsed. */
final class Fields {
    /** A fault of the file's bytes, to go after "it". */
    static final class Damage extends Exception {
        private static final long serialVersionUID = 1;

        Damage(String what) {
            super(what);
        }
    }

    private final MemorySegment content;
    private final long begin;
    private final long end;
    private long at;
    private long start;
    private int type;
    private int number;
    private MemorySegment value;

    /** @param content a whole file, of which the message takes the bytes from {@code at} to {@code end} */
    Fields(MemorySegment content, long at, long end) {
        this.content = content;
        begin = at;
        this.at = at;
        this.end = end;
    }

    /** Goes on to the next field; {@code false} at the end. */
    boolean next() throws Damage {
        if (at == end) {
            return false;
        }
        start = at;
        long tag = varint();
        type = (int) (tag & 7);
        if (tag >>> 3 == 0 || tag >>> 32 != 0) {
            throw new Damage("has no field at byte " + start);
        }
        number = (int) (tag >>> 3);
        long length =
                switch (type) {
                    case WireFormat.WIRETYPE_VARINT -> {
                        varint();
                        yield 0;
                    }
                    case WireFormat.WIRETYPE_FIXED32 -> Integer.BYTES;
                    case WireFormat.WIRETYPE_FIXED64 -> Long.BYTES;
                    case WireFormat.WIRETYPE_LENGTH_DELIMITED -> varint();
                    default -> throw new Damage("has no field at byte " + start);
                };
        if (length < 0 || length > end - at) {
            throw new Damage("ends before the field at byte " + start + " does");
        }
        value = content.asSlice(at, length);
        at += length;
        return true;
    }

    /** The same message from its beginning. */
    Fields again() {
        return new Fields(content, begin, end);
    }

    int number() {
        return number;
    }

    /** Whether the field holds bytes: text, packed numbers, or another message. */
    boolean isBytes() {
        return type == WireFormat.WIRETYPE_LENGTH_DELIMITED;
    }

    String text() {
        return new String(value.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
    }

    MemorySegment value() {
        return value;
    }

    /** The field's value as a message. */
    Fields message() {
        return new Fields(content, at - value.byteSize(), at);
    }

    /** The whole field with its tag. */
    byte[] bytes() {
        return content.asSlice(start, at - start).toArray(ValueLayout.JAVA_BYTE);
    }

    private long varint() throws Damage {
        long from = at;
        long result = 0;
        for (int shift = 0; shift < Long.SIZE; shift += 7) {
            if (at == end) {
                throw new Damage("ends within a number, at byte " + from);
            }
            byte part = content.get(ValueLayout.JAVA_BYTE, at++);
            result |= (part & 0x7fL) << shift;
            if (part >= 0) {
                return result;
            }
        }
        throw new Damage("has no number at byte " + from);
    }
}
