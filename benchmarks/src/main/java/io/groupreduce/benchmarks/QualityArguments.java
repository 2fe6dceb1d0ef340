package io.groupreduce.benchmarks;

import io.groupreduce.error.InvalidOptionException;
import java.nio.file.Path;

/**
 * The command line of the runs that measure quality.
 *
 * @param folder holds the model
 * @param title what reports call the model
 * @param name what report files are called after
 * @param epochs of calibration
 * @param ratio the size of an ablation
 * @param out where reports are written; {@code null} for nowhere
 * @param quick few sizes and hidden states, one epoch: does it still run?
 */
record QualityArguments(Path folder, String title, String name, int epochs, double ratio, Path out, boolean quick) {
    private static final String USAGE =
            "Arguments: FOLDER [--title TEXT] [--name NAME] [--epochs E] [--ratio R] [--out DIR] [--quick].";

    private static final int EPOCHS = 10;
    private static final double RATIO = 26;

    static QualityArguments parse(String[] arguments) {
        if (arguments.length == 0 || arguments[0].startsWith("--")) {
            throw new InvalidOptionException("The folder of a model is missing. " + USAGE);
        }
        Path folder = Path.of(arguments[0]);
        String name = folder.toAbsolutePath().normalize().getFileName().toString();
        QualityArguments parsed = new QualityArguments(folder, name, name, EPOCHS, RATIO, null, false);
        for (int a = 1; a < arguments.length; a++) {
            if (arguments[a].equals("--quick")) {
                parsed = new QualityArguments(folder, parsed.title, parsed.name, 1, parsed.ratio, parsed.out, true);
            } else if (a + 1 < arguments.length) {
                parsed = parsed.with(arguments[a], arguments[++a]);
            } else {
                throw new InvalidOptionException("'" + arguments[a] + "' is unknown or lacks its value. " + USAGE);
            }
        }
        return parsed;
    }

    private QualityArguments with(String option, String value) {
        try {
            return switch (option) {
                case "--title" -> new QualityArguments(folder, value, name, epochs, ratio, out, quick);
                case "--name" -> new QualityArguments(folder, title, value, epochs, ratio, out, quick);
                case "--epochs" ->
                    new QualityArguments(folder, title, name, Integer.parseInt(value), ratio, out, quick);
                case "--ratio" ->
                    new QualityArguments(folder, title, name, epochs, Double.parseDouble(value), out, quick);
                case "--out" -> new QualityArguments(folder, title, name, epochs, ratio, Path.of(value), quick);
                default -> throw new InvalidOptionException("There is no option '" + option + "'. " + USAGE);
            };
        } catch (NumberFormatException e) {
            throw new InvalidOptionException("'" + value + "' after " + option + " is not a number. " + USAGE);
        }
    }
}
