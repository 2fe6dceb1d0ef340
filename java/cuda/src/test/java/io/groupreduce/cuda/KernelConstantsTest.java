package io.groupreduce.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.ScaleSearch;
import io.groupreduce.spi.Question;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Numbers that kernels and Java must agree on: where the comment of a Java constant names one of {@code native/include},
 * a size of a structure or a constant, it has the same value.
 */
class KernelConstantsTest {
    private static final Path HEADERS = Path.of("../../native/include/groupreduce");
    private static final List<Path> SOURCES =
            List.of(Path.of("src/main/java"), Path.of("../../benchmarks/src/main/java"));

    private static final Pattern IN_HEADER = Pattern.compile("#define (GR_\\w+) (\\d+)\\s"
            + "|\\b(GR_\\w+) = (-?\\d+)"
            + "|static_assert\\(sizeof\\((Gr\\w+)\\) == (\\d+)");
    private static final Pattern IN_JAVA = Pattern.compile(
            "/\\*\\*((?:(?!\\*/).)*?\\b(GR_[A-Z0-9_]+|Gr[A-Z]\\w+)\\b(?:(?!\\*/).)*?)\\*/\\s+"
                    + "(?:private )?static final int (\\w+) = (-?\\d+);",
            Pattern.DOTALL);

    private static Map<String, Integer> constants() throws IOException {
        Map<String, Integer> constants = new HashMap<>();
        for (Path header : files(HEADERS, ".h")) {
            Matcher found = IN_HEADER.matcher(Files.readString(header));
            while (found.find()) {
                for (int group = 1; group < found.groupCount(); group += 2) {
                    if (found.group(group) != null) {
                        constants.put(found.group(group), Integer.valueOf(found.group(group + 1)));
                    }
                }
            }
        }
        return constants;
    }

    private static List<Path> files(Path folder, String suffix) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(path -> path.toString().endsWith(suffix)).sorted().toList();
        }
    }

    @Test
    void javaHasTheNumbersOfTheHeaders() throws IOException {
        Map<String, Integer> constants = constants();
        Set<String> compared = new HashSet<>();
        for (Path folder : SOURCES) {
            for (Path source : files(folder, ".java")) {
                Matcher found = IN_JAVA.matcher(Files.readString(source));
                while (found.find()) {
                    String name = found.group(2);
                    assertEquals(constants.get(name), Integer.valueOf(found.group(4)), source + ": " + found.group(3));
                    compared.add(name);
                }
            }
        }
        Set<String> structures = Set.of(
                "GrPacked",
                "GrSegment",
                "GrTile",
                "GrPartial",
                "GrQuestion",
                "GrAnswer",
                "GrTarget",
                "GrRowForm",
                "GrStoredRows",
                "GrFactor",
                "GrPairState",
                "GrRateBasis",
                "GrRatePlan",
                "GrWholePlan");
        assertTrue(compared.containsAll(structures), "compared are only " + compared);
        Set<String> numbers = Set.of(
                "GR_CHOOSE_ROWS",
                "GR_RING_BYTES",
                "GR_TERM_BYTES",
                "GR_DIGIT_BYTES",
                "GR_ROWS_OF_BLOCK",
                "GR_PAIR_STATES",
                "GR_DENSE_CHUNK",
                "GR_KEEPS_ALL");
        assertTrue(compared.containsAll(numbers), "compared are only " + compared);
        assertEquals(Question.LONGEST_LIST, constants.get("GR_MOST_SELECTED"));
    }

    @Test
    void kernelsRoundAsTheHostDoes() throws IOException {
        String header = Files.readString(HEADERS.resolve("stored.h"));
        long halves = 0;
        for (int bits = 1; bits < CodeValues.MOST_BITS; bits++) {
            halves |= (long) CodeValues.half(bits) << 8 * bits;
        }
        assertTrue(header.contains("#define GR_CODE_HALVES 0x%016xull\n".formatted(halves)));
        assertTrue(header.contains("#define GR_DEVIATION " + CodeValues.DEVIATION + "\n"));
        assertTrue(header.contains("#define GR_WIDE_BITS " + ScaleSearch.WIDE_BITS + "\n"));
        assertTrue(header.contains("#define GR_NEAR " + ScaleSearch.NEAR + "\n"));
        assertTrue(header.contains("#define GR_UP " + ScaleSearch.UP + "f\n"));
        assertTrue(header.contains("#define GR_DOWN " + ScaleSearch.DOWN + "f\n"));
        assertTrue(ScaleSearch.MOST <= 32, "a lane tries a scale");
    }
}
