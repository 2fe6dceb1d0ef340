package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.StoredPart;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What the metadata says of how a matrix is stored: {@code shape}, {@code groups} and {@code right}.
 *
 * @param rows N
 * @param columns D
 * @param groups how the rows of each group are stored
 * @param bases how the right factor of each basis is stored
 * @param plans of the groups
 */
record CompressedDescription(
        int rows, int columns, List<StoredPart> groups, List<StoredPart> bases, List<GroupPlan> plans) {
    private static final Pattern NUMBER = Pattern.compile("0|[1-9][0-9]{0,4}");

    private static final String SEPARATOR = ",";

    /** No number of a basis, of dense rows or of zeros. */
    private static final int UNKNOWN = 256;

    /** Right factors are decoded on opening: what that takes is a small multiple of what the file holds. */
    private static final int FEWEST_RIGHT_BITS = 3;

    /** What the stored tensors do not say, for the metadata. */
    static Map<String, Object> of(CompressedMatrix matrix) {
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("shape", List.of(matrix.rows(), matrix.columns()));
        description.put("groups", text(matrix.describedGroups()));
        description.put("right", text(matrix.describedBases()));
        if (matrix.packed() != null) {
            description.put(CompressedLayout.PACKED, true);
        }
        if (matrix.bias() != null) {
            description.put(CompressedLayout.BIAS, true);
        }
        return description;
    }

    private static String text(List<StoredPart> parts) {
        return parts.stream().map(StoredPart::text).collect(Collectors.joining(SEPARATOR));
    }

    /**
     * Reads and checks it.
     *
     * @param provenance what the metadata says about the matrix {@code name}
     * @throws MalformedFileException if something is missing or does not fit the rest
     */
    static CompressedDescription read(Path path, String name, JsonNode provenance) {
        return new Reader(path, name, provenance).read();
    }

    /** How many rows a right factor has. */
    int directions(StoredPart basis) {
        return number(basis.what());
    }

    /** 0 of what is no number. */
    private static int number(String what) {
        return NUMBER.matcher(what).matches() ? Integer.parseInt(what) : 0;
    }

    private record Reader(Path path, String name, JsonNode provenance) {
        CompressedDescription read() {
            int[] shape = shape();
            int columns = shape[1];
            List<StoredPart> groups = parts("groups", "groups", 1, GroupPlan.MAX_GROUPS, columns);
            List<StoredPart> bases = parts("right", "bases", 0, GroupPlan.ZERO, columns);
            return new CompressedDescription(
                    shape[0], columns, groups, bases, plans(groups, directions(bases, columns), columns));
        }

        private int[] shape() {
            JsonNode shape = provenance.path("shape");
            if (!shape.isArray() || shape.size() != 2 || !shape.valueStream().allMatch(JsonNode::isIntegralNumber)) {
                throw damaged("the metadata of " + quoted() + " lacks 'shape' with 2 whole numbers");
            }
            int[] sides = {
                side(shape.get(0), CompressedMatrix.MAX_ROWS), side(shape.get(1), CompressedMatrix.MAX_COLUMNS)
            };
            if (sides[0] < 1 || sides[1] < 1) {
                throw damaged("the metadata of " + quoted() + " gives the shape " + Wording.quoted(shape.toString())
                        + ", where rows lie between 1 and " + CompressedMatrix.MAX_ROWS + " and columns between 1 and "
                        + CompressedMatrix.MAX_COLUMNS);
            }
            return sides;
        }

        /** 0 for a number that is out of range. */
        private static int side(JsonNode number, int most) {
            return number.canConvertToInt() && number.intValue() <= most ? number.intValue() : 0;
        }

        /** Descriptions of groups or bases, in order; counted before they are read, since a short one may be of many numbers. */
        private List<StoredPart> parts(String key, String word, int fewest, int most, int columns) {
            JsonNode text = provenance.path(key);
            if (!text.isTextual()) {
                throw damaged("the metadata of " + quoted() + " lacks the text '" + key + "'");
            }
            String[] all = text.textValue().isEmpty()
                    ? new String[0]
                    : text.textValue().split(SEPARATOR, -1);
            if (all.length < fewest || all.length > most) {
                throw damaged("the metadata of " + quoted() + " describes " + all.length + " " + word + " where "
                        + fewest + " to " + most + " are possible");
            }
            List<StoredPart> parts = new ArrayList<>();
            for (String part : all) {
                try {
                    parts.add(StoredPart.parse(part, columns));
                } catch (IllegalArgumentException e) {
                    throw CompressedLayout.damaged(
                            path,
                            "the '" + key + "' of " + quoted() + " say " + Wording.quoted(part)
                                    + ", where bits and how many of the " + columns
                                    + " numbers have them are expected, 1 to 8 that never rise, or only 16 or 32, and how"
                                    + " scales are stored",
                            e);
                }
            }
            return parts;
        }

        private int[] directions(List<StoredPart> bases, int columns) {
            int[] directions = new int[bases.size()];
            for (int b = 0; b < directions.length; b++) {
                StoredPart basis = bases.get(b);
                directions[b] = number(basis.what());
                BitProfile row = basis.profile();
                boolean fits = row.width() == columns && row.bits(columns - 1) >= FEWEST_RIGHT_BITS;
                if (directions[b] < 1 || directions[b] > columns || !fits) {
                    throw damaged(
                            "basis " + b + " of " + quoted() + " is " + Wording.quoted(basis.text()) + " where 1 to "
                                    + columns + " directions of " + columns + " numbers of " + FEWEST_RIGHT_BITS
                                    + " bits or more are needed");
                }
            }
            return directions;
        }

        private List<GroupPlan> plans(List<StoredPart> groups, int[] directions, int columns) {
            List<GroupPlan> plans = new ArrayList<>();
            boolean[] used = new boolean[directions.length];
            for (int g = 0; g < groups.size(); g++) {
                StoredPart group = groups.get(g);
                int basis = basis(group.what());
                int width = group.profile().width();
                boolean fits =
                        switch (basis) {
                            case GroupPlan.ZERO -> width == 0;
                            case GroupPlan.DENSE -> width == columns;
                            default -> basis < directions.length && width >= 1 && width <= directions[basis];
                        };
                if (!fits) {
                    throw damaged(
                            "group " + g + " of " + quoted() + " is " + Wording.quoted(group.text()) + ", which is"
                                    + " neither zero, nor dense rows of " + columns
                                    + " numbers, nor as many coordinates as one of"
                                    + " the " + directions.length + " bases has");
                }
                if (basis < directions.length) {
                    used[basis] = true;
                }
                plans.add(new GroupPlan(basis, group.profile()));
            }
            for (int b = 0; b < used.length; b++) {
                if (!used[b]) {
                    throw damaged("no group of " + quoted() + " uses basis " + b);
                }
            }
            return plans;
        }

        /** The number in a {@link GroupPlan}; {@link #UNKNOWN} of what is none. */
        private static int basis(String what) {
            return switch (what) {
                case StoredPart.DENSE -> GroupPlan.DENSE;
                case StoredPart.ZERO -> GroupPlan.ZERO;
                default -> {
                    int number = NUMBER.matcher(what).matches() ? Integer.parseInt(what) : UNKNOWN;
                    yield number < GroupPlan.ZERO ? number : UNKNOWN;
                }
            };
        }

        private String quoted() {
            return Wording.quoted(name);
        }

        private MalformedFileException damaged(String what) {
            return CompressedLayout.damaged(path, what, null);
        }
    }
}
