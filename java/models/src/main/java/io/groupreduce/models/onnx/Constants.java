package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.matrix.DType;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;

/** Numbers that the messages of a graph have, in the one of several fields that their type wants. */
final class Constants {
    /** Bits of one element of the packed types. */
    private static final int NIBBLE = 4;

    private Constants() {}

    /** The type under the name that it has in safetensors; empty for text, for types of 4 bits, and for what is not known. */
    static Optional<DType> type(TensorProto tensor) {
        DataType type = DataType.forNumber(tensor.getDataType());
        return type == null
                ? Optional.empty()
                : switch (type) {
                    case FLOAT -> Optional.of(DType.F32);
                    case FLOAT16 -> Optional.of(DType.F16);
                    case BFLOAT16 -> Optional.of(DType.BF16);
                    case DOUBLE -> Optional.of(DType.F64);
                    case INT8 -> Optional.of(DType.I8);
                    case UINT8 -> Optional.of(DType.U8);
                    case INT16 -> Optional.of(DType.I16);
                    case UINT16 -> Optional.of(DType.U16);
                    case INT32 -> Optional.of(DType.I32);
                    case UINT32 -> Optional.of(DType.U32);
                    case INT64 -> Optional.of(DType.I64);
                    case UINT64 -> Optional.of(DType.U64);
                    case BOOL -> Optional.of(DType.BOOL);
                    case COMPLEX64 -> Optional.of(DType.C64);
                    case FLOAT8E4M3FN -> Optional.of(DType.F8_E4M3);
                    case FLOAT8E4M3FNUZ -> Optional.of(DType.F8_E4M3FNUZ);
                    case FLOAT8E5M2 -> Optional.of(DType.F8_E5M2);
                    case FLOAT8E5M2FNUZ -> Optional.of(DType.F8_E5M2FNUZ);
                    default -> Optional.empty();
                };
    }

    /** The bytes that type and shape need; -1 where nothing is known of that, such as for text. */
    static long bytes(TensorProto tensor) throws Fields.Damage {
        DataType type = DataType.forNumber(tensor.getDataType());
        boolean packed = type == DataType.INT4 || type == DataType.UINT4;
        long bits = type(tensor).map(DType::bits).orElse(packed ? NIBBLE : 0);
        if (bits == 0) {
            return -1;
        }
        try {
            for (long side : tensor.getDimsList()) {
                bits = Math.multiplyExact(bits, side);
                if (side < 0) {
                    throw new ArithmeticException("negative side");
                }
            }
            return Math.ceilDivExact(bits, Byte.SIZE);
        } catch (ArithmeticException e) {
            throw new Fields.Damage("has a tensor of " + tensor.getDimsList() + " numbers");
        }
    }

    /** All numbers, little-endian. */
    static MemorySegment data(TensorProto tensor) {
        if (tensor.hasRawData() || !tensor.getRawData().isEmpty()) {
            return MemorySegment.ofArray(tensor.getRawData().toByteArray());
        }
        int bytes = type(tensor).map(DType::bytes).orElse(1);
        int most = Math.max(
                Math.max(tensor.getFloatDataCount(), tensor.getInt32DataCount()),
                Math.max(
                        Math.max(tensor.getInt64DataCount(), tensor.getUint64DataCount()),
                        tensor.getDoubleDataCount()));
        ByteBuffer data = ByteBuffer.allocate(Math.multiplyExact(most, bytes)).order(ByteOrder.LITTLE_ENDIAN);
        tensor.getFloatDataList().forEach(data::putFloat);
        tensor.getDoubleDataList().forEach(data::putDouble);
        tensor.getInt64DataList().forEach(data::putLong);
        for (long number : tensor.getUint64DataList()) {
            put(data, number, bytes);
        }
        for (int number : tensor.getInt32DataList()) {
            put(data, number, bytes);
        }
        return MemorySegment.ofArray(data.array());
    }

    private static void put(ByteBuffer data, long number, int bytes) {
        for (int b = 0; b < bytes; b++) {
            data.put((byte) (number >>> Byte.SIZE * b));
        }
    }

    /** The only number of a tensor of floats; {@code null} if it is none, or has several. */
    static Double scalar(TensorProto tensor) {
        if (tensor == null || tensor.getDimsList().stream().reduce(1L, (a, b) -> a * b) != 1) {
            return null;
        }
        DType type = type(tensor).orElse(DType.BOOL);
        ByteBuffer data = data(tensor).asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        return switch (type) {
            case F32 -> (double) data.getFloat();
            case F64 -> data.getDouble();
            case F16 -> (double) Float.float16ToFloat(data.getShort());
            case BF16 -> (double) Float.intBitsToFloat(data.getShort() << 16);
            default -> null;
        };
    }
}
