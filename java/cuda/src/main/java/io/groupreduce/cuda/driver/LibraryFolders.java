package io.groupreduce.cuda.driver;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Where NVIDIA's libraries may lie beside the places that the system's loader looks into. A place is a list of folders that belong together: a
 * toolkit, or the wheels of one Python.
 */
final class LibraryFolders {
    private final Map<String, String> environment;
    private final Path root;
    private final Set<List<Path>> places = new LinkedHashSet<>();

    /**
     * @param environment of this process
     * @param root of the file system
     */
    LibraryFolders(Map<String, String> environment, Path root) {
        this.environment = environment;
        this.root = root;
    }

    /** Those of this machine. */
    static List<List<Path>> ofThisMachine() {
        return new LibraryFolders(System.getenv(), Path.of("/")).places();
    }

    /** Whether the system's loader may find a library of this name on this machine. */
    static boolean loaderHas(String library) {
        return new LibraryFolders(System.getenv(), Path.of("/")).loader(library);
    }

    /** Looks where the loader would, without loading: to load needs native access, and Java warns of that. A card's running driver counts too. */
    boolean loader(String library) {
        if (Files.exists(root.resolve("proc/driver/nvidia"))) {
            return true;
        }
        List<Path> folders = new ArrayList<>();
        for (String folder : environment.getOrDefault("LD_LIBRARY_PATH", "").split("[:;]")) {
            folders.addAll(path(folder));
        }
        for (String folder : List.of("lib64", "usr/lib64", "lib", "usr/lib", "usr/lib/x86_64-linux-gnu")) {
            folders.add(root.resolve(folder));
        }
        return folders.stream().anyMatch(folder -> Files.exists(folder.resolve(library))) || cached(library);
    }

    /** Whether the loader's cache, a binary file, has a path to this library. */
    private boolean cached(String library) {
        try {
            // ISO 8859-1 keeps every byte.
            return Files.readString(root.resolve("etc/ld.so.cache"), StandardCharsets.ISO_8859_1)
                    .contains("/" + library + "\0");
        } catch (IOException e) {
            return false;
        }
    }

    /** Folders that are there, in the order in which to look: toolkits, then Python's wheels. */
    List<List<Path>> places() {
        toolkits();
        variable("VIRTUAL_ENV").forEach(this::python);
        for (Path conda : variable("CONDA_PREFIX")) {
            add(List.of(conda.resolve("lib"), conda.resolve("targets/x86_64-linux/lib")));
            python(conda);
        }
        pythonOnThePath();
        variable("HOME").forEach(home -> python(home.resolve(".local")));
        python(root.resolve("usr/local"));
        python(root.resolve("usr"));
        return List.copyOf(places);
    }

    private void toolkits() {
        List<Path> homes = new ArrayList<>(variable("CUDA_HOME"));
        homes.addAll(variable("CUDA_PATH"));
        homes.add(root.resolve("usr/local/cuda"));
        // The newest of several versions first.
        homes.addAll(matching(root.resolve("usr/local"), "cuda-*").reversed());
        homes.forEach(home -> add(List.of(home.resolve("lib64"), home.resolve("targets/x86_64-linux/lib"))));
    }

    /** Pythons that a shell would find, the one it would start first: their libraries lie beside their folder of programs. */
    private void pythonOnThePath() {
        for (String folder : environment.getOrDefault("PATH", "").split(File.pathSeparator)) {
            for (Path bin : path(folder)) {
                Path program = bin.resolve("python3");
                if (Files.isExecutable(program)) {
                    python(bin.resolveSibling("."));
                    try {
                        python(program.toRealPath().resolve("../..").normalize());
                    } catch (IOException e) {
                        // A link that leads nowhere is no Python.
                    }
                }
            }
        }
    }

    /** The wheels of the Pythons whose prefix this is. */
    private void python(Path prefix) {
        for (Path version :
                matching(prefix.resolve("lib").normalize(), "python3*").reversed()) {
            for (String packages : List.of("site-packages", "dist-packages")) {
                Path nvidia = version.resolve(packages).resolve("nvidia");
                List<Path> folders = new ArrayList<>();
                matching(nvidia, "cu1*").reversed().forEach(f -> folders.add(f.resolve("lib")));
                matching(nvidia, "*").forEach(f -> folders.add(f.resolve("lib")));
                add(folders);
            }
        }
    }

    private void add(List<Path> folders) {
        List<Path> there = folders.stream()
                .filter(Files::isDirectory)
                .map(Path::normalize)
                .distinct()
                .toList();
        if (!there.isEmpty()) {
            places.add(there);
        }
    }

    private List<Path> variable(String name) {
        String value = environment.get(name);
        return value == null ? List.of() : path(value);
    }

    private static List<Path> path(String text) {
        try {
            return text.isBlank() ? List.of() : List.of(Path.of(text));
        } catch (InvalidPathException e) {
            return List.of();
        }
    }

    /** Entries by a shell pattern, in the order of their names; none where there is no such folder. */
    private static List<Path> matching(Path folder, String pattern) {
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, pattern)) {
            entries.forEach(found::add);
        } catch (IOException | DirectoryIteratorException e) {
            return List.of();
        }
        found.sort(null);
        return found;
    }
}
