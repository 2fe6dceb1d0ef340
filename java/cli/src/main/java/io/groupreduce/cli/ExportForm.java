package io.groupreduce.cli;

import java.io.IOException;
import java.util.Map;

/** A form that can be written. */
interface ExportForm {
    /** Refuses options that the form lacks or has no use for. */
    void check(ExportCommand command);

    /**
     * Writes the file and prints what came of it.
     *
     * @return what the JSON document says of it beside names
     */
    Map<String, Object> write(ExportCommand command) throws IOException;
}
