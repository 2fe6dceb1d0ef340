package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import java.io.File;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/**
 * NVIDIA's libraries on this machine: the driver, cuBLAS and cuSOLVER of CUDA 13 or 12. Looked for on first use, in this order: the folders of
 * {@code -Dgroupreduce.cuda.libraries}, the system's loader, toolkits, Python's wheels. Once loaded they stay.
 */
@SuppressWarnings("restricted")
public final class CudaLibraries {
    /** The system property that names folders to look into first, separated as in a path. */
    public static final String PROPERTY = "groupreduce.cuda.libraries";

    private static final String DRIVER = "libcuda.so.1";
    private static final List<Release> RELEASES = List.of(Release.CUDA_13, Release.CUDA_12);

    private final List<Path> configured;
    private final boolean system;
    private final Supplier<List<List<Path>>> further;
    private final List<String> names = new ArrayList<>();
    private SymbolLookup driver;
    private SymbolLookup blas;
    private SymbolLookup solver;

    private CudaLibraries(List<Path> configured, boolean system, Supplier<List<List<Path>>> further) {
        this.configured = List.copyOf(configured);
        this.system = system;
        this.further = further;
    }

    /** Looks into these folders and nowhere else. */
    CudaLibraries(List<Path> folders) {
        this(folders, false, List::of);
    }

    /** Looks into these places, one after the other, and nowhere else. */
    static CudaLibraries in(List<List<Path>> places) {
        return new CudaLibraries(List.of(), false, () -> places);
    }

    /** Those of this machine; nothing is looked for yet. */
    public static CudaLibraries find() {
        List<Path> configured = new ArrayList<>();
        for (String folder : System.getProperty(PROPERTY, "").split(File.pathSeparator)) {
            if (!folder.isBlank()) {
                configured.add(Path.of(folder));
            }
        }
        return new CudaLibraries(configured, true, LibraryFolders::ofThisMachine);
    }

    /**
     * The NVIDIA driver.
     *
     * @throws DeviceException if there is none
     */
    public synchronized SymbolLookup driver() {
        if (driver == null) {
            String problem = driverProblem();
            if (problem != null) {
                throw new DeviceException("The GPU cannot be used: " + problem
                        + "; install the NVIDIA driver, in a container pass the GPU through, or use --device cpu.");
            }
        }
        return driver;
    }

    /** Why there is no driver; null when there is one. Without native access one that may be there is an exception. */
    synchronized String driverProblem() {
        if (driver != null) {
            return null;
        }
        // From a configured folder by its path: JCuda's library then finds it in memory by its name.
        Path file = firstIn(configured, DRIVER);
        try {
            driver = file != null ? load(file) : system && LibraryFolders.loaderHas(DRIVER) ? loadByName(DRIVER) : null;
        } catch (IllegalCallerException e) {
            String module = CudaLibraries.class.getModule().getName();
            throw new DeviceException(
                    "The GPU cannot be used: Java may not call native code; start it with --enable-native-access="
                            + (module == null ? "ALL-UNNAMED" : module + ",jcuda") + ", or use --device cpu.",
                    e);
        }
        if (driver == null) {
            return file == null ? "no NVIDIA driver was found (" + DRIVER + ")" : file + " cannot be loaded";
        }
        names.add(DRIVER);
        return null;
    }

    /**
     * cuBLAS, of the CUDA release that {@link #solver} has too.
     *
     * @throws DeviceException if no such pair can be loaded: says what is missing and how to get it
     */
    public synchronized SymbolLookup blas() {
        loadPair();
        return blas;
    }

    /**
     * cuSOLVER, of the CUDA release that {@link #blas} has too.
     *
     * @throws DeviceException if no such pair can be loaded: says what is missing and how to get it
     */
    public synchronized SymbolLookup solver() {
        loadPair();
        return solver;
    }

    /** The file names of what was loaded so far. */
    public synchronized List<String> names() {
        return List.copyOf(names);
    }

    private void loadPair() {
        if (solver != null) {
            return;
        }
        int newest = driverRelease();
        List<Release> usable = RELEASES.stream().filter(r -> r.major <= newest).toList();
        List<String> seen = new ArrayList<>();
        if (tryPlace(configured, usable, seen) || system && trySystem(usable)) {
            return;
        }
        List<List<Path>> places = further.get();
        for (List<Path> place : places) {
            if (tryPlace(place, usable, seen)) {
                return;
            }
        }
        // The two may have come by different ways.
        List<Path> everywhere = new ArrayList<>(configured);
        places.forEach(everywhere::addAll);
        if (tryPlace(everywhere, usable, seen)) {
            return;
        }
        throw new DeviceException(missing(newest, everywhere, seen));
    }

    private boolean trySystem(List<Release> usable) {
        for (Release release : usable) {
            SymbolLookup first = loadByName(release.blas);
            SymbolLookup second = first == null ? null : loadByName(release.solver);
            if (second != null) {
                keep(release, first, second);
                return true;
            }
        }
        return false;
    }

    /** Tries the releases in one place; notes the libraries that lie there and cannot be loaded. */
    private boolean tryPlace(List<Path> folders, List<Release> usable, List<String> seen) {
        for (Release release : usable) {
            Path blasFile = firstIn(folders, release.blas);
            Path solverFile = firstIn(folders, release.solver);
            if (blasFile == null || solverFile == null) {
                continue;
            }
            // What they need lies beside them or, from wheels, in folders of its own.
            List<Path> nearest = new ArrayList<>(List.of(solverFile.getParent(), blasFile.getParent()));
            nearest.addAll(folders);
            release.before.forEach(name -> loadIfThere(nearest, name));
            SymbolLookup first = load(blasFile);
            release.between.forEach(name -> loadIfThere(nearest, name));
            SymbolLookup second = first == null ? null : load(solverFile);
            if (second != null) {
                keep(release, first, second);
                return true;
            }
            String absent = release.needed()
                    .filter(name -> firstIn(nearest, name) == null)
                    .reduce((a, b) -> a + ", " + b)
                    .map(list -> " (without " + list + " beside it)")
                    .orElse("");
            String note = (first == null ? blasFile : solverFile) + " cannot be loaded" + absent;
            if (!seen.contains(note)) {
                seen.add(note);
            }
        }
        return false;
    }

    private void keep(Release release, SymbolLookup first, SymbolLookup second) {
        blas = first;
        solver = second;
        names.add(release.blas);
        names.add(release.solver);
    }

    private String missing(int newest, List<Path> everywhere, List<String> seen) {
        List<String> found = new ArrayList<>(seen);
        for (Release release : RELEASES) {
            boolean hasBlas = firstIn(everywhere, release.blas) != null;
            boolean hasSolver = firstIn(everywhere, release.solver) != null;
            if (release.major > newest && hasBlas && hasSolver) {
                found.add(release.blas + " is there but the driver is of CUDA " + newest);
            } else if (hasBlas != hasSolver) {
                found.add(
                        hasBlas
                                ? release.solver + " is missing beside " + release.blas
                                : release.blas + " is missing beside " + release.solver);
            }
        }
        return "The GPU cannot be used: cuBLAS and cuSOLVER were not found, neither " + Release.CUDA_13.pair() + " nor "
                + Release.CUDA_12.pair() + (found.isEmpty() ? "" : " (" + String.join("; ", found) + ")")
                + "; install a CUDA toolkit, or for Python's packages 'pip install nvidia-cublas nvidia-cusolver' (CUDA 13)"
                + " or 'pip install nvidia-cublas-cu12 nvidia-cusolver-cu12', or name the folders that hold them with"
                + " -D" + PROPERTY + "=FOLDER:FOLDER.";
    }

    /** The CUDA release that the driver speaks, such as 13; the newest that is known when there is no driver to ask. */
    private int driverRelease() {
        SymbolLookup lookup;
        try {
            lookup = driver();
        } catch (DeviceException e) {
            return Release.CUDA_13.major;
        }
        return Math.min(DriverProbe.version(lookup) / 1000, Release.CUDA_13.major);
    }

    private static void loadIfThere(List<Path> folders, String name) {
        Path file = firstIn(folders, name);
        if (file != null) {
            load(file);
        }
    }

    private static Path firstIn(List<Path> folders, String name) {
        for (Path folder : folders) {
            Path file = folder.resolve(name);
            if (Files.isRegularFile(file)) {
                return file.toAbsolutePath();
            }
        }
        return null;
    }

    /** Null when it cannot be loaded. */
    private static SymbolLookup load(Path file) {
        try {
            return SymbolLookup.libraryLookup(file, Arena.global());
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    /** By the system's loader; null when it finds none. */
    private static SymbolLookup loadByName(String name) {
        try {
            return SymbolLookup.libraryLookup(name, Arena.global());
        } catch (IllegalArgumentException e) {
            return null;
        }
    }
}
