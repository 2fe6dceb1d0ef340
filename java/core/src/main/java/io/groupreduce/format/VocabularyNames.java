package io.groupreduce.format;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What names tell: the table {@code vocabulary.txt}, which says at its head how it is read. Which of a model's tensors are taken is
 * for {@link VocabularyFinder} to decide.
 */
final class VocabularyNames {
    private static final String TABLE = "vocabulary.txt";
    private static final String NUMBER = "<n>";
    private static final Pattern DIGITS = Pattern.compile("[0-9]+");
    private static final String MODEL_TYPE = "model_type=";

    /** The lines of the table by their first word. */
    private static final Map<String, List<Line>> LINES = read();

    private static final List<Line> WRAPPERS = lines("wrapper");
    private static final List<Line> PARTS = lines("part");

    /** Longest first: {@code weight.original} is no {@code original}. */
    private static final List<Line> FORMS = lines("form").stream()
            .sorted(Comparator.comparingInt((Line form) -> -form.name().size()))
            .toList();

    private static final List<Line> ROLES = LINES.keySet().stream()
            .filter(kind -> role(kind) != null || kind.equals("other"))
            .flatMap(kind -> lines(kind).stream())
            .toList();

    private VocabularyNames() {}

    /** A line: its first word, the name taken apart, the words after it, and the text, which may be {@code null}. */
    private record Line(String kind, boolean whole, List<String> name, List<String> words, String text) {
        static Line of(String text) {
            String[] said = text.split(" : ", 2);
            List<String> words = Arrays.asList(said[0].trim().split("\\s+"));
            boolean whole = words.get(1).startsWith("=");
            return new Line(
                    words.get(0),
                    whole,
                    parts(whole ? words.get(1).substring(1) : words.get(1)),
                    words.subList(2, words.size()),
                    said.length < 2 ? null : said[1].trim());
        }

        boolean has(String word) {
            return words.contains(word);
        }

        boolean isFor(String modelType) {
            return words.stream().filter(w -> w.startsWith(MODEL_TYPE)).allMatch(w -> w.equals(MODEL_TYPE + modelType));
        }

        boolean endOf(List<String> parts) {
            int before = parts.size() - name.size();
            for (int i = 0; before >= 0 && i < name.size(); i++) {
                String part = parts.get(before + i);
                if (!(name.get(i).equals(NUMBER) ? isNumber(part) : name.get(i).equals(part))) {
                    return false;
                }
            }
            return before >= 0;
        }

        boolean isLike(String part) {
            String wanted = name.get(0);
            return wanted.endsWith("*")
                    ? part.startsWith(wanted.substring(0, wanted.length() - 1))
                    : part.equals(wanted);
        }

        long numbers() {
            return name.stream().filter(NUMBER::equals).count();
        }
    }

    /**
     * What the name of a tensor tells.
     *
     * @param module the name without wrappers and form: tensors with the same one are of one module
     * @param inLayer whether it has a number that says it belongs to a layer; all else is told by the rest of the name
     * @param line the line of an embedding, an output or other matrices; {@code null} if only {@code part} is known
     * @param form how it is stored; {@code null} if it has no such end
     * @param part what says that it is no vocabulary's; {@code null} if nothing does
     */
    record Named(String module, boolean inLayer, Line line, Line form, Line part) {
        /** {@code null} if it is a vocabulary matrix of no role. */
        Model.Role role() {
            return part == null ? lookedLike() : null;
        }

        /** The role that the name would have without the part that speaks against it. */
        Model.Role lookedLike() {
            return line == null ? null : VocabularyNames.role(line.kind());
        }

        /** Whether the name is too common to be believed by itself. */
        boolean sized() {
            return line.has("sized");
        }

        /** Whether it is one of several of which only one may be there, with another tensor. */
        boolean excludes(Named other) {
            return line != null && line.has("only") && line == other.line;
        }

        /** Whether it is never the output as well. */
        boolean input() {
            return line != null && line.has("input");
        }

        /** What keeps it from being compressed, from its form; {@code null} if nothing does. */
        String unusable(boolean fits) {
            return form == null || fits && form.has("turned") ? null : form.text();
        }

        /** What the table says of it; {@code null} if nothing. */
        String text() {
            return part == null ? line.text() : part.text();
        }

        /** Whether a matrix of this name is one that a user may not expect; {@code text} says what it is. */
        boolean isSpecial() {
            return role() != null && line.text() != null && !line.has("only");
        }
    }

    private static Map<String, List<Line>> read() {
        try (InputStream table = VocabularyNames.class.getResourceAsStream(TABLE)) {
            Map<String, List<Line>> lines = new LinkedHashMap<>();
            new String(table.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .filter(line -> !line.isBlank() && !line.startsWith("#"))
                    .map(Line::of)
                    .forEach(line -> lines.computeIfAbsent(line.kind(), kind -> new ArrayList<>())
                            .add(line));
            return lines;
        } catch (IOException e) {
            throw new UncheckedIOException("the table of names cannot be read", e);
        }
    }

    private static List<Line> lines(String kind) {
        return LINES.getOrDefault(kind, List.of());
    }

    /** All names on the lines of a kind that lists plain ones. */
    static List<String> listed(String kind) {
        List<String> all = new ArrayList<>();
        for (Line line : lines(kind)) {
            all.add(String.join(".", line.name()));
            all.addAll(line.words());
        }
        return all;
    }

    /** What the name tells of a tensor of a model of this type; empty if it tells nothing. */
    static Optional<Named> of(String tensor, String modelType) {
        List<String> parts = unwrapped(tensor);
        long numbers = parts.stream().filter(VocabularyNames::isNumber).count();
        Optional<Named> bare = named(parts, null, modelType, numbers);
        Optional<Named> found = bare.isPresent()
                ? bare
                : FORMS.stream()
                        .filter(form -> form.endOf(parts))
                        .map(form -> named(
                                parts.subList(0, parts.size() - form.name().size()), form, modelType, numbers))
                        .flatMap(Optional::stream)
                        .findFirst();
        Optional<Line> part = PARTS.stream()
                .filter(line -> parts.stream().anyMatch(line::isLike))
                .findFirst();
        Named whole = found.orElse(new Named(String.join(".", parts), numbers > 0, null, null, null));
        return part.map(line -> new Named(whole.module(), whole.inLayer(), whole.line(), whole.form(), line))
                .or(() -> found);
    }

    private static Optional<Named> named(List<String> stem, Line form, String modelType, long numbers) {
        return ROLES.stream()
                .filter(line -> line.has("bare") == (form == null))
                .filter(line ->
                        line.endOf(stem) && (!line.whole() || line.name().size() == stem.size()))
                .filter(line -> line.isFor(modelType))
                .findFirst()
                .map(line -> new Named(String.join(".", stem), numbers > line.numbers(), line, form, null));
    }

    /** What the name tells of a tensor in a form that the table does not have: only that there is an output. */
    static Optional<Named> inUnknownForm(String tensor, String modelType) {
        List<String> parts = unwrapped(tensor);
        long numbers = parts.stream().filter(VocabularyNames::isNumber).count();
        Line form = lines("form-else").get(0);
        return parts.getLast().equals("bias")
                ? Optional.empty()
                : named(parts.subList(0, parts.size() - 1), form, modelType, numbers)
                        .filter(n -> n.role() == Model.Role.OUTPUT && !n.inLayer() && !n.sized());
    }

    /** The name with every number in it replaced, which all layers have in common; empty if it has none. */
    static Optional<String> numbered(String tensor) {
        List<String> parts = unwrapped(tensor);
        return parts.stream().anyMatch(VocabularyNames::isNumber)
                ? Optional.of(parts.stream()
                        .map(part -> isNumber(part) ? NUMBER : part)
                        .collect(Collectors.joining(".")))
                : Optional.empty();
    }

    /** Whether the name has a number of a layer. */
    static boolean isInLayer(String tensor) {
        List<String> parts = unwrapped(tensor);
        List<String> layers = listed("layer");
        return IntStream.range(1, parts.size())
                .anyMatch(i -> isNumber(parts.get(i)) && layers.contains(parts.get(i - 1)));
    }

    private static Model.Role role(String kind) {
        return switch (kind) {
            case "embedding" -> Model.Role.EMBEDDING;
            case "output" -> Model.Role.OUTPUT;
            default -> null;
        };
    }

    /** Whether a tensor's name tells this role, in whatever form it is stored. */
    static boolean tells(String tensor, Model.Role role) {
        return of(tensor, "").filter(n -> n.role() == role && !n.inLayer()).isPresent();
    }

    /** Those of some names that are biases of outputs, in the order of the table. */
    static List<String> biases(Collection<String> tensors) {
        return lines("bias").stream()
                .flatMap(line -> tensors.stream().filter(tensor -> line.endOf(unwrapped(tensor))))
                .distinct()
                .toList();
    }

    /** Whether a name of {@link #biases} is one that other modules have as well. */
    static boolean isCommonBias(String tensor) {
        List<String> parts = unwrapped(tensor);
        return lines("bias").stream().filter(line -> line.endOf(parts)).allMatch(line -> line.has("sized"));
    }

    private static List<String> unwrapped(String tensor) {
        List<String> parts = new ArrayList<>(parts(tensor));
        for (int i = 0; i < parts.size(); ) {
            int cut = wrapperLength(parts, i);
            parts.subList(i, i + cut).clear();
            i += cut == 0 ? 1 : 0;
        }
        return parts;
    }

    private static int wrapperLength(List<String> parts, int at) {
        for (Line wrapper : WRAPPERS) {
            int length = wrapper.name().size();
            boolean there = at + length < parts.size() && wrapper.name().get(0).equals(parts.get(at));
            if (there) {
                return length;
            }
        }
        return 0;
    }

    private static List<String> parts(String name) {
        return List.of(name.split("\\.", -1));
    }

    private static boolean isNumber(String part) {
        return DIGITS.matcher(part).matches();
    }
}
