package io.groupreduce.cuda.machinecode;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.cuda.machinecode.MachineCode.Family;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What the compiler made of the kernels stays within native/budgets.txt; the whole report is target/machine-code.txt. */
class MachineCodeTest {
    private static final Path CUBINS = Path.of("target/native/cubins");
    private static final Path BUDGETS = Path.of("../../native/budgets.txt");
    private static final Path REPORT = Path.of("target/machine-code.txt");
    private static final int THREADS = 256;

    private static final Pattern FILE = Pattern.compile("(.*)\\.sm_(\\d+)a?\\.cubin");
    private static final Pattern ENTRY = Pattern.compile(
            "Compiling entry function '(\\w+)'.*?(\\d+) bytes stack frame.*?Used (\\d+) registers([^\\n]*)",
            Pattern.DOTALL);
    private static final Pattern SHARED = Pattern.compile("(\\d+) bytes smem");

    /** By architecture and name. */
    private static final Map<String, MachineCode> KERNELS = new TreeMap<>();

    @BeforeAll
    static void read() throws IOException {
        assumeTrue(
                Files.isDirectory(CUBINS),
                "nvcc was not found, or GROUPREDUCE_KERNELS=skip: there is no machine code to read");
        try (var files = Files.list(CUBINS)) {
            for (Path file : files.sorted().toList()) {
                Matcher name = FILE.matcher(file.getFileName().toString());
                if (name.matches()) {
                    Cubin.read(file, Integer.parseInt(name.group(2)))
                            .forEach((kernel, code) -> KERNELS.put("sm_" + name.group(2) + " " + kernel, code));
                }
            }
        }
        assertTrue(!KERNELS.isEmpty(), "no kernels in " + CUBINS.toAbsolutePath());
    }

    private static Map<String, Number> figures(String architecture, MachineCode code) {
        Map<String, Number> figures = new TreeMap<>();
        figures.put("instructions", code.instructions());
        figures.put("registers", code.registers);
        figures.put("frame-bytes", code.frame);
        figures.put("shared-bytes", code.sharedBytes);
        figures.put("local-accesses", code.localAccesses());
        figures.put("wide-loads", code.wideLoads());
        figures.put("products", code.products());
        figures.put("blocks-of-256", code.blocks(THREADS));
        if (architecture.equals("sm_90") && code.name.matches("gr_softmax_\\d")) {
            StripCost strip = StripCost.of(code);
            figures.put("strip-fixed", strip.fixed());
            figures.put("strip-half-block", strip.half());
            figures.put("strip-refill", strip.refill());
            for (int bits : StripCost.WIDTHS) {
                figures.put("strip-block-" + bits, strip.ofWidth()[bits]);
            }
            figures.put("strip-4-bits-68", strip.strip(4, 68));
            figures.put("pass-26x-millions", strip.pass26());
        }
        return figures;
    }

    @Test
    void kernelsKeepTheirBudgets() throws IOException {
        Map<String, Map<String, Number>> figures = new TreeMap<>();
        KERNELS.forEach((name, code) -> figures.put(name, figures(name.substring(0, 5), code)));
        List<String> report = new ArrayList<>();
        figures.forEach((name, of) -> {
            report.add(name);
            of.forEach((what, figure) -> report.add(String.format(Locale.ROOT, "    %-20s %8.6s", what, figure)));
        });
        Files.write(REPORT, report);
        List<String> wrong = new ArrayList<>();
        for (String line : Files.readAllLines(BUDGETS)) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            // Architecture, kernel, figure, the most (or the least, where more is better).
            String[] words = line.strip().split("\\s+");
            Map<String, Number> of = figures.get(words[0] + " " + words[1]);
            Number figure = of == null ? null : of.get(words[2]);
            boolean least = words.length > 3 && words[3].equals(">=");
            if (words.length != 5 || figure == null || !least && !words[3].equals("<=")) {
                wrong.add("no such kernel or figure: " + line);
                continue;
            }
            double bound = Double.parseDouble(words[4]);
            if (least ? figure.doubleValue() < bound : figure.doubleValue() > bound) {
                wrong.add(line.strip() + ", and it is " + figure);
            }
        }
        assertEquals(List.of(), wrong, "budgets of native/budgets.txt; the report is " + REPORT.toAbsolutePath());
    }

    /** The compiler says some of it itself. */
    @Test
    void figuresAreThoseOfTheCompiler() throws IOException {
        int compared = 0;
        try (var files = Files.list(CUBINS)) {
            for (Path log :
                    files.filter(f -> f.toString().endsWith(".cubin.log")).toList()) {
                String text = Files.readString(log);
                Matcher name = FILE.matcher(log.getFileName().toString().replace(".log", ""));
                assertTrue(name.matches(), log.toString());
                for (Matcher said = ENTRY.matcher(text); said.find(); compared++) {
                    MachineCode code = KERNELS.get("sm_" + name.group(2) + " " + said.group(1));
                    Matcher shared = SHARED.matcher(said.group(4));
                    assertEquals(Integer.parseInt(said.group(2)), code.frame, said.group(1));
                    assertEquals(Integer.parseInt(said.group(3)), code.registers, said.group(1));
                    assertEquals(shared.find() ? Long.parseLong(shared.group(1)) : 0, code.sharedBytes, said.group(1));
                    // Where there is nothing in local memory, nothing reads or writes it.
                    assertTrue(code.frame > 0 || code.localAccesses() == 0, said.group(1));
                }
            }
        }
        assertEquals(KERNELS.size(), compared);
    }

    /** native/test/counted.cu, whose instructions were counted by hand. */
    @Test
    void handCountedKernelsAreCountedRight() {
        for (String architecture : List.of("sm_80", "sm_90")) {
            MachineCode loads = KERNELS.get(architecture + " counted_loads");
            assertEquals(5, loads.count(Family.LOAD_GLOBAL));
            assertEquals(1, loads.wideLoads());
            assertEquals(2, loads.count(Family.STORE_GLOBAL));
            assertEquals(2, loads.count(Family.LOAD_SHARED));
            assertEquals(1, loads.count(Family.STORE_SHARED));
            assertEquals(1, loads.count(Family.BARRIER));
            assertEquals(0, loads.localAccesses());

            MachineCode products = KERNELS.get(architecture + " counted_products");
            assertEquals(2, products.count(Family.INTEGER_PRODUCT));
            assertEquals(1, products.count(Family.HALF_PRODUCT));
            assertEquals(1, products.count(Family.SHUFFLE));

            MachineCode spilled = KERNELS.get(architecture + " counted_local");
            assertEquals(256, spilled.frame);
            assertTrue(spilled.count(Family.LOAD_LOCAL) > 0 && spilled.count(Family.STORE_LOCAL) > 0);

            MachineCode copies = KERNELS.get(architecture + " counted_copies");
            assertEquals(1, copies.count(Family.COPY_ASYNC));
            assertEquals(1, copies.wideLoads());

            // Two loops, one in the other: a load, a sum and what counts and branches; around it an exponential.
            MachineCode loops = KERNELS.get(architecture + " counted_loops");
            assertEquals(1, loops.innerLoops().size());
            int load = loops.all(Family.LOAD_GLOBAL).get(0);
            int exponential = loops.all(Family.SPECIAL).get(0);
            int[] inner = loops.innerLoops().get(0);
            assertTrue(inner[0] <= load && load <= inner[1]);
            assertEquals(inner[1] - inner[0] + 1, loops.cycle(load));
            assertTrue(loops.isExponential(exponential));
            // The way around that leaves the inner loop out.
            assertTrue(
                    loops.cycle(exponential) < loops.shortest(load)[exponential] + loops.shortest(exponential)[load]);
            assertTrue(loops.cycle(exponential) > 4 && loops.cycle(exponential) < 20);
        }
    }
}
