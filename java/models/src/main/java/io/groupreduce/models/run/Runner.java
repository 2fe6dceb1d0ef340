package io.groupreduce.models.run;

import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxTensorLike;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtException.OrtErrorCode;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import com.google.protobuf.ByteString;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.models.onnx.OnnxFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A language model in ONNX Runtime: takes batches of token ids, gives values of its graph. Any number of threads may run it at once. */
public final class Runner implements AutoCloseable {
    /** A value of the graph, row-major. */
    public record Values(float[] floats, long[] shape) {
        /** The last side. */
        public int columns() {
            return Math.toIntExact(shape[shape.length - 1]);
        }
    }

    /** At what addresses the runtime's kernels may read numbers. */
    private static final int ALIGNMENT = 64;

    /** The model is at fault, not the machine. */
    private static final Set<OrtErrorCode> MODEL = Set.of(
            OrtErrorCode.ORT_INVALID_GRAPH,
            OrtErrorCode.ORT_INVALID_PROTOBUF,
            OrtErrorCode.ORT_NOT_IMPLEMENTED,
            OrtErrorCode.ORT_NO_SUCHFILE);

    /** Types of ONNX that Java has tensors of. */
    private static final Map<Integer, OnnxJavaType> TYPES = Map.of(
            DataType.FLOAT.getNumber(), OnnxJavaType.FLOAT,
            DataType.FLOAT16.getNumber(), OnnxJavaType.FLOAT16,
            DataType.BFLOAT16.getNumber(), OnnxJavaType.BFLOAT16,
            DataType.INT8.getNumber(), OnnxJavaType.INT8,
            DataType.UINT8.getNumber(), OnnxJavaType.UINT8,
            DataType.INT32.getNumber(), OnnxJavaType.INT32,
            DataType.INT64.getNumber(), OnnxJavaType.INT64);

    /** Where the runtime looks for numbers of a model that it is given as bytes. */
    private static final String FOLDER = "session.model_external_initializers_file_folder_path";

    private final String name;
    private final String folder;
    private final OrtEnvironment environment;
    private final List<OnnxTensor> given = new ArrayList<>();
    private final Arena arena = Arena.ofShared();
    private OrtSession session;
    private ModelInputs inputs;
    private boolean fedValues;

    private Runner(Path model) {
        name = Wording.file(model);
        folder = model.toAbsolutePath().getParent().toString();
        environment = RuntimeEnvironment.get();
    }

    /** How a session is made. */
    private interface Opening {
        OrtSession of(OrtSession.SessionOptions options) throws OrtException;
    }

    /**
     * Opens a model file as any user of the runtime does.
     *
     * @param threads at least 1
     * @throws InvalidDataException if the runtime cannot run such a model, or an input of it is not understood
     * @throws DeviceException if the runtime fails otherwise, for instance for want of memory
     */
    public static Runner open(Path model, int threads) {
        Runner runner = new Runner(model);
        return runner.open(threads, null, options -> runner.environment.createSession(model.toString(), options));
    }

    /**
     * Opens a changed graph; its larger numbers are read where the file has them mapped.
     *
     * @param file must stay open as long as this
     * @param changed the graph; initializers without numbers of their own have them in {@code file}
     * @param threads at least 1
     * @throws InvalidDataException if the runtime cannot run such a model, or an input of it is not understood
     * @throws DeviceException if the runtime fails otherwise, for instance for want of memory
     */
    public static Runner open(OnnxFile file, ModelProto changed, int threads) {
        return open(file, changed, Map.of(), null, threads);
    }

    /** As {@link #open(OnnxFile, ModelProto, int)}, with an input [batch, length, columns] of F32 that the caller has. */
    static Runner open(OnnxFile file, ModelProto changed, String given, int threads) {
        return open(file, changed, Map.of(), given, threads);
    }

    /** As {@link #open(OnnxFile, ModelProto, int)}, with initializers whose numbers lie elsewhere in memory that stays as long as this. */
    public static Runner open(OnnxFile file, ModelProto changed, Map<String, MemorySegment> more, int threads) {
        return open(file, changed, more, null, threads);
    }

    private static Runner open(
            OnnxFile file, ModelProto changed, Map<String, MemorySegment> more, String given, int threads) {
        return new Runner(file.path()).with(file, changed, more, given, threads);
    }

    /**
     * Opens a changed graph that is fed values of its own, and no tokens.
     *
     * @see #open(OnnxFile, ModelProto, int)
     */
    public static Runner ofValues(OnnxFile file, ModelProto changed, int threads) {
        Runner runner = new Runner(file.path());
        runner.fedValues = true;
        return runner.with(file, changed, Map.of(), null, threads);
    }

    private Runner with(OnnxFile file, ModelProto changed, Map<String, MemorySegment> more, String given, int threads) {
        Map<String, MemorySegment> numbers = new HashMap<>(more);
        file.numbers().forEach((tensor, its) -> numbers.putIfAbsent(tensor, its.data()));
        return open(threads, given, options -> {
            byte[] graph = withNumbers(numbers, changed, options);
            return environment.createSession(graph, options);
        });
    }

    private Runner open(int threads, String given, Opening opening) {
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(threads);
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
            session = opening.of(options);
            inputs = fedValues ? null : new ModelInputs(name, session.getInputInfo(), given);
            return this;
        } catch (OrtException e) {
            close();
            throw failed("cannot be opened by", e);
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    /** The graph as the runtime takes it: mapped numbers are handed over beside it, what Java has no type for inside it. */
    private byte[] withNumbers(
            Map<String, MemorySegment> numbers, ModelProto changed, OrtSession.SessionOptions options)
            throws OrtException {
        Map<String, OnnxTensorLike> beside = new HashMap<>();
        ModelProto.Builder model = changed.toBuilder();
        for (TensorProto.Builder tensor : model.getGraphBuilder().getInitializerBuilderList()) {
            MemorySegment data = numbers.get(tensor.getName());
            if (data == null) {
                continue;
            }
            OnnxJavaType type = TYPES.get(tensor.getDataType());
            if (data.byteSize() > Integer.MAX_VALUE) {
                requireApart(tensor, data.byteSize());
                options.addConfigEntry(FOLDER, folder);
                continue;
            }
            tensor.clearExternalData();
            if (type == null) {
                tensor.clearDataLocation().setRawData(ByteString.copyFrom(data.asByteBuffer()));
                continue;
            }
            tensor.setDataLocation(TensorProto.DataLocation.EXTERNAL)
                    .addExternalData(StringStringEntryProto.newBuilder()
                            .setKey("location")
                            .setValue("given"));
            if (data.address() % ALIGNMENT != 0) {
                data = arena.allocate(data.byteSize(), ALIGNMENT).copyFrom(data);
            }
            long[] shape =
                    tensor.getDimsList().stream().mapToLong(Long::longValue).toArray();
            OnnxTensor own = OnnxTensor.createTensor(
                    environment, data.asByteBuffer().order(ByteOrder.nativeOrder()), shape, type);
            given.add(own);
            beside.put(tensor.getName(), own);
        }
        if (!beside.isEmpty()) {
            options.addExternalInitializers(beside);
        }
        return model.build().toByteArray();
    }

    /** What is too large for a tensor of Java's the runtime reads for itself, beside the model. */
    private void requireApart(TensorProto.Builder tensor, long bytes) {
        if (tensor.getDataLocation() != TensorProto.DataLocation.EXTERNAL) {
            throw new InvalidDataException(name + ": the tensor " + Wording.quoted(tensor.getName()) + " has " + bytes
                    + " bytes, and ONNX Runtime takes no more than " + Integer.MAX_VALUE
                    + " from memory here; run a model with a smaller vocabulary matrix.");
        }
    }

    /** How many tokens a sequence has to have, or -1 if any number. */
    public long length() {
        return inputs.length();
    }

    /** Names of what the model gives, with shapes, where -1 is a side that the tokens decide. */
    public Map<String, long[]> outputs() {
        try {
            Map<String, long[]> shapes = new LinkedHashMap<>();
            session.getOutputInfo().forEach((output, info) -> {
                if (info.getInfo() instanceof TensorInfo tensor) {
                    shapes.put(output, tensor.getShape());
                }
            });
            return shapes;
        } catch (OrtException e) {
            throw failed("cannot be asked by", e);
        }
    }

    /**
     * Runs a batch of sequences and gives one of the model's outputs. Shorter sequences are filled up at their ends, behind the mask.
     *
     * @param tokens one row a sequence, ids below the vocabulary's size
     * @throws InvalidDataException if the model takes no such batch, or the output does not hold numbers
     * @throws DeviceException if the runtime fails
     */
    public Values run(int[][] tokens, String output) {
        return run(tokens, List.of(output)).getFirst();
    }

    /** As {@link #run(int[][], String)}, several outputs at once. */
    public List<Values> run(int[][] tokens, List<String> outputs) {
        return run(tokens, null, outputs);
    }

    /** As {@link #run(int[][], List)}, with what is given for each token, where all sequences are of one length. */
    List<Values> run(int[][] tokens, float[] given, List<String> outputs) {
        try {
            Map<String, OnnxTensor> fed = inputs.feed(environment, tokens, given);
            try (OrtSession.Result result = session.run(fed, Set.copyOf(outputs))) {
                return outputs.stream().map(output -> values(result, output)).toList();
            } finally {
                fed.values().forEach(OnnxTensor::close);
            }
        } catch (OrtException e) {
            throw failed("cannot be run by", e);
        }
    }

    /**
     * Feeds the only input of a graph of {@link #ofValues} with floats, in the type that it wants, and gives an output.
     *
     * @param shape of the input
     * @throws DeviceException if the runtime fails
     */
    public Values run(float[] floats, long[] shape, String output) {
        try {
            Map.Entry<String, NodeInfo> input =
                    session.getInputInfo().entrySet().iterator().next();
            OnnxJavaType type = ((TensorInfo) input.getValue().getInfo()).type;
            int size = type == OnnxJavaType.FLOAT ? Float.BYTES : Short.BYTES;
            ByteBuffer data = ByteBuffer.allocateDirect(floats.length * size).order(ByteOrder.nativeOrder());
            for (float value : floats) {
                switch (type) {
                    case FLOAT16 -> data.putShort(Float.floatToFloat16(value));
                    case BFLOAT16 -> data.putShort(Bf16.round(value));
                    default -> data.putFloat(value);
                }
            }
            try (OnnxTensor fed = OnnxTensor.createTensor(environment, data.flip(), shape, type);
                    OrtSession.Result result = session.run(Map.of(input.getKey(), fed), Set.of(output))) {
                return values(result, output);
            }
        } catch (OrtException e) {
            throw failed("cannot be run by", e);
        }
    }

    private Values values(OrtSession.Result result, String output) {
        if (result.get(output).orElse(null) instanceof OnnxTensor tensor) {
            FloatBuffer numbers = tensor.getFloatBuffer();
            if (numbers != null) {
                float[] floats = new float[numbers.remaining()];
                numbers.get(floats);
                return new Values(floats, tensor.getInfo().getShape());
            }
        }
        throw new InvalidDataException(
                name + ": the output " + Wording.quoted(output) + " does not hold numbers of F32, F16 or BF16.");
    }

    private GroupReduceException failed(String what, OrtException e) {
        String message = Wording.line(String.valueOf(e.getMessage()).strip().replaceAll("\\s*\\R\\s*", " "));
        String sentence = name + " " + what + " ONNX Runtime: " + message + (message.endsWith(".") ? "" : ".");
        return MODEL.contains(e.getCode()) ? new InvalidDataException(sentence, e) : new DeviceException(sentence, e);
    }

    /** Ends the session; may be called again. */
    @Override
    public void close() {
        try {
            if (session != null) {
                session.close();
                session = null;
            }
        } catch (OrtException e) {
            throw failed("cannot be closed by", e);
        } finally {
            given.forEach(OnnxTensor::close);
            given.clear();
            if (arena.scope().isAlive()) {
                arena.close();
            }
        }
    }
}
