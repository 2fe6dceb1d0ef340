package io.groupreduce.models.run;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.TensorInfo;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Wording;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** What a language model is fed: its inputs, told by name, type and shape. */
final class ModelInputs {
    /** What an input is for. */
    private enum Role {
        TOKENS,
        /** One for tokens, 0 for what fills up. */
        MASK,
        /** Which of two texts a token belongs to; all to the first. */
        SEGMENTS,
        POSITIONS,
        /** Whether the cache holds anything. */
        CACHED,
        /** Keys and values of tokens before; there are none. */
        CACHE,
        /** A value that the caller has. */
        GIVEN
    }

    private static final Set<OnnxJavaType> WHOLE = Set.of(OnnxJavaType.INT64, OnnxJavaType.INT32);
    private static final Set<OnnxJavaType> FRACTIONS =
            Set.of(OnnxJavaType.FLOAT, OnnxJavaType.FLOAT16, OnnxJavaType.BFLOAT16);

    private final String model;
    private final Map<String, TensorInfo> infos = new LinkedHashMap<>();
    private final Map<String, Role> roles = new LinkedHashMap<>();
    private long batch = -1;
    private long length = -1;

    /**
     * @param given the input of numbers that the caller has for each token; {@code null} for none
     * @throws InvalidDataException if an input is not understood, or none takes tokens
     */
    ModelInputs(String model, Map<String, NodeInfo> inputs, String given) {
        this.model = model;
        inputs.forEach((name, node) -> {
            TensorInfo info = node.getInfo() instanceof TensorInfo tensor ? tensor : null;
            Role role = info == null ? null : name.equals(given) ? Role.GIVEN : role(name, info);
            if (role == null) {
                String what = info == null ? "which is no tensor" : info.type + " " + Wording.shape(info.getShape());
                throw new InvalidDataException(model + " wants the input " + Wording.quoted(name) + ", " + what
                        + ", which no text gives; export the model as one that takes token ids, a mask, positions, segments and"
                        + " an empty cache alone.");
            }
            infos.put(name, info);
            roles.put(name, role);
            if (role == Role.TOKENS) {
                batch = info.getShape()[0];
                length = info.getShape()[1];
            }
        });
        long takers =
                roles.values().stream().filter(role -> role == Role.TOKENS).count();
        if (takers > 1 || takers == 0 && given == null) {
            throw new InvalidDataException(
                    model + " has the inputs " + Wording.candidates("input_ids", inputs.keySet())
                            + ", and none of them, or more than one, takes token ids [batch, length]; only models of text can be run.");
        }
    }

    /** {@code null} of an input that is not understood. */
    private static Role role(String name, TensorInfo info) {
        String plain = name.toLowerCase(Locale.ROOT).replaceFirst(":0$", "");
        int sides = info.getShape().length;
        if (plain.equals("use_cache_branch") && info.type == OnnxJavaType.BOOL && sides == 1) {
            return Role.CACHED;
        }
        if (plain.matches(".*(past|cache).*") && FRACTIONS.contains(info.type) && (sides == 4 || sides == 5)) {
            return past(info.getShape()) >= 0 ? Role.CACHE : null;
        }
        if (sides != 2) {
            return null;
        }
        if (plain.matches("attention_mask|input_mask|mask|padding_mask")) {
            return info.type == OnnxJavaType.BOOL || WHOLE.contains(info.type) || info.type == OnnxJavaType.FLOAT
                    ? Role.MASK
                    : null;
        }
        if (!WHOLE.contains(info.type)) {
            return null;
        }
        if (plain.matches("token_type_ids|segment_ids")) {
            return Role.SEGMENTS;
        }
        if (plain.matches("position_ids|positions")) {
            return Role.POSITIONS;
        }
        return plain.matches("input_ids|input|inputs|ids|tokens|token_ids") ? Role.TOKENS : null;
    }

    /** The side of a cache that is as long as the text before, [batch, heads, past, size] for instance; -1 if none, or several, are free. */
    private static int past(long[] shape) {
        int found = -1;
        for (int side = batchSide(shape) + 1; side < shape.length; side++) {
            if (shape[side] < 0 && found >= 0) {
                return -1;
            }
            found = shape[side] < 0 ? side : found;
        }
        return found;
    }

    /** Keys and values may lie in one tensor, [2, batch, heads, past, size]. */
    private static int batchSide(long[] shape) {
        return shape.length - 4;
    }

    /** How many tokens a sequence must have, or -1 if any number. */
    long length() {
        return length;
    }

    /**
     * Tensors for a batch of sequences, shorter ones filled up at their ends; the caller closes them.
     *
     * @param given numbers for each token, as many for each as the input's last side; {@code null} where none are given
     * @throws InvalidDataException if the model takes no sequences of such lengths
     */
    Map<String, OnnxTensor> feed(OrtEnvironment environment, int[][] tokens, float[] given) throws OrtException {
        int longest = Arrays.stream(tokens)
                .mapToInt(sequence -> sequence.length)
                .max()
                .orElse(0);
        int shortest = Arrays.stream(tokens)
                .mapToInt(sequence -> sequence.length)
                .min()
                .orElse(0);
        int sides = length > longest ? (int) length : longest;
        boolean fits = batch < 0 || batch == tokens.length;
        if (!fits || length >= 0 && length < longest) {
            throw new InvalidDataException(model + " takes token ids of shape "
                    + Wording.shape(new long[] {batch, length})
                    + " alone, not " + tokens.length + " sequences of up to " + longest + " tokens; export it with free"
                    + " sizes, or give --length.");
        }
        if (shortest < sides && !roles.containsValue(Role.MASK)) {
            throw new InvalidDataException(
                    model + " has no attention mask and takes only sequences of one length, not of " + shortest
                            + " and " + sides + " tokens in one batch.");
        }
        Map<String, OnnxTensor> fed = new LinkedHashMap<>();
        try {
            for (String name : roles.keySet()) {
                boolean isGiven = roles.get(name) == Role.GIVEN;
                fed.put(
                        name,
                        isGiven
                                ? OnnxTensor.createTensor(
                                        environment, FloatBuffer.wrap(given), givenShape(name, tokens.length, sides))
                                : tensor(environment, name, tokens, sides));
            }
        } catch (Throwable e) {
            fed.values().forEach(OnnxTensor::close);
            throw e;
        }
        return fed;
    }

    private long[] givenShape(String name, long sequences, long sides) {
        long[] shape = infos.get(name).getShape();
        return new long[] {sequences, sides, shape[shape.length - 1]};
    }

    private OnnxTensor tensor(OrtEnvironment environment, String name, int[][] tokens, int sides) throws OrtException {
        TensorInfo info = infos.get(name);
        Role role = roles.get(name);
        long[] shape = {tokens.length, sides};
        if (role == Role.CACHED) {
            shape = new long[] {1};
        } else if (role == Role.CACHE) {
            shape = info.getShape();
            shape[past(shape)] = 0;
            shape[batchSide(shape)] = tokens.length;
        }
        long elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        ByteBuffer data = ByteBuffer.allocateDirect(Math.toIntExact(elements * info.type.size))
                .order(ByteOrder.nativeOrder());
        if (role == Role.TOKENS || role == Role.MASK || role == Role.POSITIONS) {
            for (int[] sequence : tokens) {
                for (int t = 0; t < sides; t++) {
                    boolean is = t < sequence.length;
                    put(data, info.type, role == Role.POSITIONS ? t : !is ? 0 : role == Role.MASK ? 1 : sequence[t]);
                }
            }
            data.flip();
        }
        return OnnxTensor.createTensor(environment, data, shape, info.type);
    }

    private static void put(ByteBuffer data, OnnxJavaType type, int value) {
        switch (type) {
            case INT64 -> data.putLong(value);
            case INT32 -> data.putInt(value);
            case FLOAT -> data.putFloat(value);
            default -> data.put((byte) value);
        }
    }
}
