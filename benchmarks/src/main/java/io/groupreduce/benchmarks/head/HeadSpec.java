package io.groupreduce.benchmarks.head;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.Codec;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/**
 * A compressed head to make, written {@code METHOD[-CODEC]@RATIO}: {@code groupreduce-int8@26}, {@code rate-distortion@6.6}.
 *
 * @param codec of the left factors; empty for what the method chooses
 * @param ratio total size, dense F32 / compressed
 */
record HeadSpec(Method method, Optional<Codec> codec, double ratio) {
    static HeadSpec parse(String text) {
        int at = text.indexOf('@');
        String before = at < 0 ? text : text.substring(0, at);
        Method method = Arrays.stream(Method.values())
                .filter(m -> before.equals(m.label()) || before.startsWith(m.label() + "-"))
                .findFirst()
                .orElseThrow(() -> unknown(text));
        try {
            Optional<Codec> codec = before.equals(method.label())
                    ? Optional.empty()
                    : Optional.of(Codec.valueOf(
                            before.substring(method.label().length() + 1).toUpperCase(Locale.ROOT)));
            return new HeadSpec(method, codec, Double.parseDouble(text.substring(at + 1)));
        } catch (IllegalArgumentException e) {
            throw unknown(text);
        }
    }

    private static InvalidOptionException unknown(String text) {
        return new InvalidOptionException(
                "The head '" + text + "' is not of the form groupreduce-int8@26 or rate-distortion@6.6.");
    }

    CompressionOptions options() {
        CompressionOptions options =
                CompressionOptions.defaults().withMethod(method).withTarget(SizeTarget.ratio(ratio));
        return codec.map(options::withCodec).orElse(options);
    }

    @Override
    public String toString() {
        return method.label() + codec.map(c -> "-" + c.label()).orElse("") + "@"
                + (ratio == Math.rint(ratio) ? Integer.toString((int) ratio) : Double.toString(ratio));
    }
}
