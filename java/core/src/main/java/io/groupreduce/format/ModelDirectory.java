package io.groupreduce.format;

import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Which files of a directory are the model, by their names and an index: one file, the shards that an index names, or all of {@code
 * X-0000i-of-0000n}. Where programs would differ in what they read nothing is chosen, and what lies there unread is said.
 */
final class ModelDirectory {
    /** What to open, in this order; {@code index} is {@code null} without one; {@code notes} are sentences for the user. */
    record Choice(Path directory, List<Path> files, ShardIndex index, List<String> notes) {}

    private static final String SUFFIX = ".safetensors";
    /** {@code model.safetensors.index.json}, {@code model.safetensors.index.fp16.json}. */
    private static final Pattern INDEX = Pattern.compile("(.+)\\.safetensors\\.index(\\.\\w+)?\\.json");
    /** {@code model-00001-of-00002.safetensors}, {@code model.fp16-00001-of-00002.safetensors}, and with fp16 at the end. */
    private static final Pattern SHARD = Pattern.compile("(.+?)[-_.](\\d{1,7})-of-(\\d{1,7})(\\.\\w+)?\\.safetensors");

    private static final String USUAL = "model";
    private static final int SEARCHED_DEPTH = 3;
    private static final int SEARCHED = 10_000;

    /** The files of one model: {@code stem.safetensors}, its index, and its numbered shards by number and count. */
    private static final class Family {
        private String index;
        private String single;
        private final Map<Integer, TreeMap<Integer, String>> shards = new TreeMap<>();
    }

    private final Path path;
    private final List<String> weights = new ArrayList<>();
    private final Map<String, Family> families = new TreeMap<>();

    private ModelDirectory(Path path) {
        this.path = path;
        for (String name : names(path)) {
            Matcher index = INDEX.matcher(name);
            if (index.matches()) {
                family(stem(index)).index = name;
            } else if (name.endsWith(SUFFIX) && !name.startsWith(".")) {
                weights.add(name);
                if (SideFile.of(name) == null) {
                    sort(name);
                }
            }
        }
    }

    private void sort(String name) {
        Matcher shard = SHARD.matcher(name);
        if (!shard.matches()) {
            family(name.substring(0, name.length() - SUFFIX.length())).single = name;
            return;
        }
        family(shard.group(1) + (shard.group(4) == null ? "" : shard.group(4)))
                .shards
                .computeIfAbsent(Integer.valueOf(shard.group(3)), n -> new TreeMap<>())
                .put(Integer.valueOf(shard.group(2)), name);
    }

    private static String stem(Matcher index) {
        return index.group(1) + (index.group(2) == null ? "" : index.group(2));
    }

    private Family family(String stem) {
        return families.computeIfAbsent(stem, s -> new Family());
    }

    private static List<String> names(Path directory) {
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.filter(entry -> !Files.isDirectory(entry))
                    .map(entry -> entry.getFileName().toString())
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw Wording.cannotRead(directory, e);
        }
    }

    /**
     * The model of a directory.
     *
     * @throws InvalidDataException if it holds none, several, or one of which a part is missing
     * @throws MalformedFileException if its index is damaged
     */
    static Choice of(Path path) {
        ModelDirectory directory = new ModelDirectory(path);
        if (directory.weights.isEmpty() && directory.families.isEmpty()) {
            Path snapshot = HubCache.snapshot(path);
            if (snapshot != null) {
                Choice found = of(snapshot);
                List<String> notes = new ArrayList<>(found.notes());
                notes.add(Wording.file(path) + " is a download cache; its snapshot " + Wording.file(snapshot)
                        + " is read.");
                return new Choice(found.directory(), found.files(), found.index(), notes);
            }
        }
        return directory.choose(directory.only());
    }

    /** The model of an index that is named itself; {@code null} if the file is not called like one. */
    static Choice ofIndex(Path file) {
        Matcher index = INDEX.matcher(file.getFileName().toString());
        if (!index.matches()) {
            return null;
        }
        Path parent = file.getParent() == null ? Path.of(".") : file.getParent();
        ModelDirectory directory = new ModelDirectory(parent);
        Family family = directory.family(stem(index));
        family.index = index.group();
        family.single = null;
        return directory.choose(family);
    }

    /**
     * Checks that a file named by the user is a whole model, as far as its name and its neighbours tell.
     *
     * @throws InvalidDataException if it is a shard, an adapter, or the state of a training
     */
    static void requireWhole(Path file) {
        String name = file.getFileName().toString();
        SideFile side = SideFile.of(name);
        if (side != null) {
            throw new InvalidDataException(Wording.file(file) + " " + side.explain(file) + ".");
        }
        Matcher shard = SHARD.matcher(name);
        boolean numbered = shard.matches() && Integer.parseInt(shard.group(3)) > 1;
        if (numbered || isListedShard(file.toAbsolutePath().getParent(), name)) {
            throw new InvalidDataException(
                    Wording.file(file) + " is one of several shards, and the others may hold what"
                            + " this one lacks; name their directory, or rename the file if it is a model of its own.");
        }
    }

    private static boolean isListedShard(Path directory, String name) {
        try (DirectoryStream<Path> indexes = Files.newDirectoryStream(directory, "*.index*.json")) {
            for (Path index : indexes) {
                if (ShardIndex.read(index).splits(name)) {
                    return true;
                }
            }
        } catch (IOException | DirectoryIteratorException | GroupReduceException e) {
            return false; // What cannot be read beside a file says nothing of it.
        }
        return false;
    }

    private Family only() {
        if (families.containsKey(USUAL)) {
            return families.get(USUAL);
        }
        List<Family> indexed =
                families.values().stream().filter(f -> f.index != null).toList();
        List<Family> candidates = indexed.isEmpty() ? List.copyOf(families.values()) : indexed;
        if (candidates.isEmpty()) {
            throw new InvalidDataException(Wording.file(path) + " " + whyNone() + ".");
        }
        if (candidates.size() > 1) {
            String what = indexed.isEmpty()
                    ? " safetensors files and no index that says which belong together, among them "
                    : " indexes of different models, among them ";
            throw new InvalidDataException(Wording.file(path) + " holds "
                    + (indexed.isEmpty() ? weights.size() : indexed.size()) + what
                    + Wording.some(
                            indexed.isEmpty()
                                    ? weights
                                    : indexed.stream().map(f -> f.index).toList())
                    + "; name one of them if it is a model of its own, or download what is missing.");
        }
        return candidates.get(0);
    }

    private Choice choose(Family family) {
        List<String> notes = new ArrayList<>();
        List<Path> files;
        ShardIndex index = null;
        if (family.index != null) {
            index = ShardIndex.read(path.resolve(family.index));
            if (family.single != null && !index.names(family.single)) {
                throw twoModels(family.single, family.index);
            }
            files = index.shards();
            requireAll(family, files);
        } else if (family.single != null && family.shards.isEmpty()) {
            files = List.of(path.resolve(family.single));
        } else {
            files = allShards(family);
        }
        List<String> unread = weights.stream()
                .filter(name -> !files.contains(path.resolve(name)))
                .toList();
        if (!unread.isEmpty()) {
            notes.add(Wording.file(path) + " also holds " + Wording.some(unread) + ", which "
                    + (unread.size() > 1 ? "are" : "is")
                    + " not part of the model"
                    + (family.index == null ? "" : " by " + Wording.quoted(family.index)) + " and not read.");
        }
        return new Choice(path, files, index, notes);
    }

    /** Programs differ in whether shards that an index omits are read. */
    private void requireAll(Family family, List<Path> listed) {
        for (TreeMap<Integer, String> shards : family.shards.values()) {
            List<String> omitted = shards.values().stream()
                    .filter(name -> !listed.contains(path.resolve(name)))
                    .toList();
            if (!omitted.isEmpty() && omitted.size() < shards.size()) {
                throw new InvalidDataException(
                        Wording.file(path.resolve(family.index)) + " omits " + Wording.some(omitted)
                                + ", which lies beside the other shards; download the index again, or remove what is not part of"
                                + " the model.");
            }
        }
    }

    private InvalidDataException twoModels(String one, String other) {
        return new InvalidDataException(
                Wording.file(path) + " holds two models, " + Wording.quoted(one) + " and " + Wording.quoted(other)
                        + ", and programs differ in which they read; remove one, or name the file or index to read.");
    }

    private List<Path> allShards(Family family) {
        List<TreeMap<Integer, String>> sets = List.copyOf(family.shards.values());
        if (family.single != null || sets.size() > 1) {
            throw twoModels(
                    family.single != null
                            ? family.single
                            : sets.get(1).firstEntry().getValue(),
                    sets.get(0).firstEntry().getValue());
        }
        int count = family.shards.keySet().iterator().next();
        TreeMap<Integer, String> shards = sets.get(0);
        int first = shards.containsKey(0) ? 0 : 1;
        List<String> missing = IntStream.range(first, first + count)
                .filter(i -> !shards.containsKey(i))
                .limit(Wording.MOST_LISTED + 1L)
                .mapToObj(i -> renumbered(shards.firstEntry().getValue(), i))
                .toList();
        if (!missing.isEmpty() || shards.size() > count) {
            throw new InvalidDataException(Wording.file(path) + " holds " + shards.size() + " of " + count
                    + " shards and no index; "
                    + (missing.isEmpty()
                            ? "remove what is not part of the model."
                            : "download what is missing: " + Wording.some(missing) + "."));
        }
        return shards.values().stream().map(path::resolve).toList();
    }

    private static String renumbered(String shard, int number) {
        Matcher matcher = SHARD.matcher(shard);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("no shard: " + shard);
        }
        String digits = String.format(Locale.ROOT, "%0" + matcher.group(2).length() + "d", number);
        return shard.substring(0, matcher.start(2)) + digits + shard.substring(matcher.end(2));
    }

    /** What the directory holds instead of a model, to follow its name. */
    private String whyNone() {
        if (!weights.isEmpty()) {
            String first = weights.get(0);
            return "holds only " + Wording.quoted(first) + ", which "
                    + SideFile.of(first).explain(path.resolve(first));
        }
        return HubCache.models(path)
                .or(() -> SideFile.instead(path, names(path)))
                .or(this::below)
                .orElse("holds no .safetensors file; name a model directory or a model file");
    }

    /** Models that lie deeper, as the parts of a pipeline or the checkpoints of a training do. */
    private Optional<String> below() {
        try (Stream<Path> files = Files.walk(path, SEARCHED_DEPTH)) {
            List<String> found = files.limit(SEARCHED)
                    .filter(file -> file.getFileName().toString().endsWith(SUFFIX))
                    .map(file -> path.relativize(file.getParent()).toString())
                    .distinct()
                    .sorted()
                    .toList();
            return found.isEmpty()
                    ? Optional.empty()
                    : Optional.of("holds no .safetensors file itself, but its folders do: " + Wording.some(found)
                            + "; name one of them");
        } catch (IOException | UncheckedIOException e) {
            return Optional.empty(); // A folder that cannot be entered holds nothing that could be named.
        }
    }
}
