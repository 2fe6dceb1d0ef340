package io.groupreduce.models.sentence;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.Wording;
import io.groupreduce.models.run.Runner;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** How a model's output becomes the vector of a sentence. */
public enum Pooling {
    /** The mean of the tokens' vectors. */
    MEAN,
    /** The vector of the first token. */
    CLS,
    /** The vector of the last token. */
    LAST,
    /** None: the model gives the sentence's vector itself. */
    NONE;

    /** Outputs by the names that exporters give them. */
    private static final List<String> OF_SENTENCES = List.of("sentence_embedding", "sentence_embeddings");

    private static final List<String> OF_TOKENS =
            List.of("last_hidden_state", "token_embeddings", "hidden_states", "encoder_hidden_states");

    /**
     * An output of a model, and what becomes of it.
     *
     * @param output its name
     * @param guessed whether nobody named the pooling
     */
    record Choice(Pooling pooling, String output, boolean guessed) {
        /** In words. */
        String words() {
            String how =
                    switch (pooling) {
                        case MEAN -> "mean over all tokens of ";
                        case CLS -> "first token of ";
                        case LAST -> "last token of ";
                        case NONE -> "none, the model gives ";
                    };
            return how + Wording.quoted(output);
        }
    }

    /** As the command line writes it. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * The output to take.
     *
     * @param wanted {@code null} to tell it by the outputs: one that is called a sentence's embedding, else the mean of tokens
     * @param outputs names and shapes
     * @throws InvalidDataException if there is none, or it is not clear which
     */
    static Choice choose(String model, Pooling wanted, Map<String, long[]> outputs) {
        List<String> ofTokens = outputs.keySet().stream()
                .filter(name -> outputs.get(name).length == 3)
                .toList();
        List<String> ofSentences = outputs.keySet().stream()
                .filter(name -> outputs.get(name).length == 2)
                .toList();
        boolean named = OF_SENTENCES.stream().anyMatch(ofSentences::contains);
        Pooling pooling = wanted != null ? wanted : named || ofTokens.isEmpty() ? NONE : MEAN;
        List<String> candidates = pooling == NONE ? ofSentences : ofTokens;
        String output = (pooling == NONE ? OF_SENTENCES : OF_TOKENS)
                .stream()
                        .filter(candidates::contains)
                        .findFirst()
                        .orElse(candidates.size() == 1 ? candidates.get(0) : null);
        if (output == null) {
            throw new InvalidDataException(model + " has " + (candidates.isEmpty() ? "no output" : "several outputs")
                    + " of "
                    + (pooling == NONE ? "one vector a sentence [batch, D]" : "one vector a token [batch, length, D]")
                    + (candidates.isEmpty() ? "" : " and none of a known name")
                    + "; its outputs are " + Wording.candidates("", outputs.keySet())
                    + (wanted == null ? "." : ": leave --pooling away, or name another."));
        }
        return new Choice(pooling, output, wanted == null);
    }

    /** The vector of a sentence of so many tokens. */
    float[] of(Runner.Values values, int tokens) {
        int columns = values.columns();
        float[] vector = new float[columns];
        int from = this == LAST ? tokens - 1 : 0;
        int to = this == MEAN ? tokens : from + 1;
        for (int j = 0; j < columns; j++) {
            double sum = 0;
            for (int t = from; t < to; t++) {
                sum += values.floats()[t * columns + j];
            }
            vector[j] = (float) (sum / (to - from));
        }
        return vector;
    }
}
