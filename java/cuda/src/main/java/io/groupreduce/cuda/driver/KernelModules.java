package io.groupreduce.cuda.driver;

import io.groupreduce.error.DeviceException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * The compiled kernels: a list of files, packed into the jar where the build had nvcc, or in the folder that
 * {@code -Dgroupreduce.cuda.kernels} names. A file is loaded into the current context when a kernel is not in those before it.
 */
final class KernelModules implements AutoCloseable {
    static final String PROPERTY = "groupreduce.cuda.kernels";
    private static final String LIST = "kernels.list";
    private static final String PACKAGE = "/io/groupreduce/cuda/";
    private static final String MISSING =
            "this build has no GPU kernels because nvcc was not there; build it with a CUDA"
                    + " toolkit, or name the folder of the kernels with -D" + PROPERTY + "=FOLDER";

    private final DriverContext context;
    private final Map<String, Kernel> kernels = new LinkedHashMap<>();
    private final Deque<CUmodule> loaded = new ArrayDeque<>();
    private final Owned owned = new Owned(null);
    private Deque<String> waiting;

    KernelModules(DriverContext context) {
        this.context = context;
    }

    /** Why there are no kernels; null when there are. */
    static String problem() {
        if (System.getProperty(PROPERTY) != null) {
            Path list = folder().resolve(LIST);
            return Files.isReadable(list) ? null : unreadable(list);
        }
        return KernelModules.class.getResource(PACKAGE + LIST) == null ? MISSING : null;
    }

    /** The kernel of this name, from the first file that has it. */
    Kernel kernel(String name) {
        Kernel known = kernels.get(name);
        if (known != null) {
            return known;
        }
        if (waiting == null) {
            waiting = new ArrayDeque<>(list());
        }
        Handles.Function function = new Handles.Function();
        boolean found = loaded.stream().anyMatch(module -> has(module, name, function));
        while (!found && !waiting.isEmpty()) {
            CUmodule module = new CUmodule();
            Status.check(
                    JCudaDriver.cuModuleLoadData(module, read(waiting.peek())),
                    "loading the kernels of " + waiting.peek());
            waiting.remove();
            loaded.add(module);
            owned.add(() -> Status.check(JCudaDriver.cuModuleUnload(module), "unloading kernels"));
            found = has(module, name, function);
        }
        if (!found) {
            throw new DeviceException(
                    "The GPU kernel " + name + " is in none of the kernel files; build the project again"
                            + " so that they are of the jar's version.");
        }
        context.calls().load(function.value());
        Kernel kernel = new Kernel(context, name, function);
        kernels.put(name, kernel);
        return kernel;
    }

    @Override
    public void close() {
        owned.close();
    }

    private static boolean has(CUmodule module, String name, Handles.Function function) {
        int code = JCudaDriver.cuModuleGetFunction(function, module, name);
        if (code != CUresult.CUDA_ERROR_NOT_FOUND) {
            Status.check(code, "looking for the kernel " + name);
        }
        return code == CUresult.CUDA_SUCCESS;
    }

    private static List<String> list() {
        List<String> names = new ArrayList<>();
        new String(read(LIST), StandardCharsets.UTF_8)
                .lines()
                .map(String::strip)
                .filter(line -> !line.isEmpty())
                .forEach(names::add);
        return names;
    }

    private static byte[] read(String name) {
        if (System.getProperty(PROPERTY) != null) {
            Path file = folder().resolve(name);
            try {
                return Files.readAllBytes(file);
            } catch (IOException e) {
                throw new DeviceException("The GPU cannot be used: " + unreadable(file) + ".", e);
            }
        }
        URL resource = KernelModules.class.getResource(PACKAGE + name);
        if (resource == null) {
            throw new DeviceException("The GPU cannot be used: "
                    + (name.equals(LIST) ? MISSING : "the jar lacks " + name + "; build the project again") + ".");
        }
        try (InputStream in = resource.openStream()) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new DeviceException("The GPU kernels " + resource + " cannot be read; build the project again.", e);
        }
    }

    private static Path folder() {
        return Path.of(System.getProperty(PROPERTY));
    }

    private static String unreadable(Path file) {
        return file + " cannot be read, where -D" + PROPERTY
                + " says that the kernels are; name the folder that has them";
    }
}
