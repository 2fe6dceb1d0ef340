package io.groupreduce.examples;

import io.groupreduce.TokenSet;
import java.util.BitSet;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What the tokens of the demo model mean in JSON: some signs are brackets, number words are numbers, other words are strings. The sets of tokens
 * that a grammar allows are made once, and serve all sequences.
 */
final class JsonTokens {
    private static final Map<String, Kind> SIGNS = Map.of(
            "(", Kind.OPEN_OBJECT,
            ")", Kind.CLOSE_OBJECT,
            "-", Kind.OPEN_ARRAY,
            ";", Kind.CLOSE_ARRAY,
            ",", Kind.COMMA,
            ":", Kind.COLON,
            "<eos>", Kind.END);
    private static final Map<Kind, String> SIGN_TEXTS = new EnumMap<>(Map.of(
            Kind.OPEN_OBJECT, "{",
            Kind.CLOSE_OBJECT, "}",
            Kind.OPEN_ARRAY, "[",
            Kind.CLOSE_ARRAY, "]",
            Kind.COMMA, ", ",
            Kind.COLON, ": ",
            Kind.END, ""));
    private static final List<String> NUMBERS =
            List.of("nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten");
    private static final Map<String, String> NAMES = Map.of("true", "true", "false", "false", "nothing", "null");

    /** What a token can be. */
    enum Kind {
        OPEN_OBJECT,
        CLOSE_OBJECT,
        OPEN_ARRAY,
        CLOSE_ARRAY,
        COMMA,
        COLON,
        STRING,
        /** A number or a name. */
        OTHER_VALUE,
        END,
        NONE
    }

    private final LanguageModel model;
    private final Kind[] kinds;
    private final Map<EnumSet<Kind>, TokenSet> sets = new HashMap<>();

    JsonTokens(LanguageModel model) {
        this.model = model;
        this.kinds = new Kind[model.head().vocabularySize()];
        for (int token = 0; token < kinds.length; token++) {
            String word = model.word(token);
            boolean value = NUMBERS.contains(word) || NAMES.containsKey(word);
            boolean string = word.chars().allMatch(Character::isLetter);
            kinds[token] = SIGNS.getOrDefault(word, value ? Kind.OTHER_VALUE : string ? Kind.STRING : Kind.NONE);
        }
    }

    Kind kind(int token) {
        return kinds[token];
    }

    String text(int token) {
        String word = model.word(token);
        return switch (kinds[token]) {
            case STRING -> '"' + word + '"';
            case OTHER_VALUE -> NAMES.getOrDefault(word, String.valueOf(NUMBERS.indexOf(word)));
            default -> SIGN_TEXTS.getOrDefault(kinds[token], word);
        };
    }

    /** All tokens of these kinds. */
    synchronized TokenSet of(EnumSet<Kind> allowed) {
        return sets.computeIfAbsent(allowed, wanted -> {
            BitSet tokens = new BitSet(kinds.length);
            for (int token = 0; token < kinds.length; token++) {
                tokens.set(token, wanted.contains(kinds[token]));
            }
            return TokenSet.of(tokens);
        });
    }
}
