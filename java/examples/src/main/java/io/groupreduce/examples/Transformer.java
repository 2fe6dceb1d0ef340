package io.groupreduce.examples;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/**
 * A small decoder body, the part of an engine that stays as it is: the row of a token goes in, a hidden state comes out. Its weights are random, so
 * what it says makes no sense. Positions are told apart by a penalty on distance (ALiBi: Press, Smith, Lewis 2022).
 */
final class Transformer {
    private static final int HEADS = 4;
    /** Numbers of the inner layer for each of the width. */
    private static final int WIDER = 2;

    private final int width;
    private final Layer[] layers;

    /** Matrices, row-major. */
    private record Layer(float[] query, float[] key, float[] value, float[] output, float[] up, float[] down) {}

    /** What a sequence keeps: the key and the value of each of its tokens in each layer. */
    static final class Cache {
        private final float[][] keys;
        private final float[][] values;
        private int length;

        private Cache(int layers) {
            keys = new float[layers][0];
            values = new float[layers][0];
        }

        /** Tokens. */
        int length() {
            return length;
        }

        /** Forgets all tokens but the first {@code tokens}. */
        void cut(int tokens) {
            length = tokens;
        }

        private void add(int layer, float[] key, float[] value) {
            int at = length * key.length;
            if (keys[layer].length < at + key.length) {
                keys[layer] = Arrays.copyOf(keys[layer], 2 * (at + key.length));
                values[layer] = Arrays.copyOf(values[layer], 2 * (at + key.length));
            }
            System.arraycopy(key, 0, keys[layer], at, key.length);
            System.arraycopy(value, 0, values[layer], at, key.length);
        }
    }

    private Transformer(int width, Layer... layers) {
        this.width = width;
        this.layers = layers;
    }

    static Transformer random(int width, int layers, RandomGenerator random) {
        Layer[] made = new Layer[layers];
        for (int l = 0; l < layers; l++) {
            made[l] = new Layer(
                    random(random, width, width),
                    random(random, width, width),
                    random(random, width, width),
                    random(random, width, width),
                    random(random, WIDER * width, width),
                    random(random, width, WIDER * width));
        }
        return new Transformer(width, made);
    }

    private static float[] random(RandomGenerator random, int rows, int columns) {
        float[] matrix = new float[rows * columns];
        for (int i = 0; i < matrix.length; i++) {
            matrix[i] = (float) (random.nextGaussian() / Math.sqrt(2 * columns));
        }
        return matrix;
    }

    /** The first layers alone: cheaper, and often of the same mind. */
    Transformer first(int count) {
        return new Transformer(width, Arrays.copyOf(layers, count));
    }

    /** The cache of a sequence that begins. */
    Cache begin() {
        return new Cache(layers.length);
    }

    /** Takes one more token into a sequence, given as its row; writes its hidden state to {@code target[offset .. offset + D)}. */
    void step(float[] row, Cache cache, float[] target, int offset) {
        float[] x = normal(row);
        for (int l = 0; l < layers.length; l++) {
            Layer layer = layers[l];
            float[] in = normal(x);
            cache.add(l, product(layer.key, in), product(layer.value, in));
            add(product(layer.output, attend(product(layer.query, in), cache, l)), x);
            float[] inner = product(layer.up, normal(x));
            for (int i = 0; i < inner.length; i++) {
                inner[i] = Math.max(0, inner[i]);
            }
            add(product(layer.down, inner), x);
        }
        cache.length++;
        System.arraycopy(normal(x), 0, target, offset, width);
    }

    private float[] attend(float[] query, Cache cache, int layer) {
        int each = width / HEADS;
        float[] mixed = new float[width];
        double[] weights = new double[cache.length + 1];
        for (int head = 0; head < HEADS; head++) {
            int from = head * each;
            double slope = Math.pow(2, -8.0 * (head + 1) / HEADS);
            double largest = Double.NEGATIVE_INFINITY;
            for (int t = 0; t < weights.length; t++) {
                double sum = 0;
                for (int j = from; j < from + each; j++) {
                    sum += query[j] * cache.keys[layer][t * width + j];
                }
                weights[t] = sum / Math.sqrt(each) - slope * (cache.length - t);
                largest = Math.max(largest, weights[t]);
            }
            double total = 0;
            for (int t = 0; t < weights.length; t++) {
                weights[t] = Math.exp(weights[t] - largest);
                total += weights[t];
            }
            for (int t = 0; t < weights.length; t++) {
                float share = (float) (weights[t] / total);
                for (int j = from; j < from + each; j++) {
                    mixed[j] += share * cache.values[layer][t * width + j];
                }
            }
        }
        return mixed;
    }

    /** x, with a mean square of 1. */
    private static float[] normal(float[] x) {
        double squares = 0;
        for (float number : x) {
            squares += number * number;
        }
        float factor = (float) (1 / Math.sqrt(squares / x.length + 1e-6));
        float[] scaled = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            scaled[i] = x[i] * factor;
        }
        return scaled;
    }

    private static float[] product(float[] matrix, float[] x) {
        float[] y = new float[matrix.length / x.length];
        for (int i = 0; i < y.length; i++) {
            for (int j = 0; j < x.length; j++) {
                y[i] += matrix[i * x.length + j] * x[j];
            }
        }
        return y;
    }

    private static void add(float[] from, float[] to) {
        for (int i = 0; i < to.length; i++) {
            to[i] += from[i];
        }
    }
}
