package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Numbers of small tensors, which the graph's messages have. */
final class Constants {
    private Constants() {}

    /** The only number of a tensor of floats; {@code null} if it is none, or has several. */
    static Double scalar(TensorProto tensor) {
        if (tensor == null || tensor.getDimsList().stream().reduce(1L, (a, b) -> a * b) != 1) {
            return null;
        }
        ByteBuffer raw = tensor.getRawData().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
        boolean isRaw = raw.hasRemaining();
        DataType type = DataType.forNumber(tensor.getDataType());
        if (type == null) {
            return null;
        }
        return switch (type) {
            case FLOAT -> (double) (isRaw ? raw.getFloat() : tensor.getFloatData(0));
            case DOUBLE -> isRaw ? raw.getDouble() : tensor.getDoubleData(0);
            case FLOAT16 -> (double) Float.float16ToFloat((short) (isRaw ? raw.getShort() : tensor.getInt32Data(0)));
            case BFLOAT16 -> (double) Float.intBitsToFloat((isRaw ? raw.getShort() : tensor.getInt32Data(0)) << 16);
            default -> null;
        };
    }
}
