package io.groupreduce.models.export;

import io.groupreduce.models.onnx.Place;

/** What stands in a {@link Place} of a graph: a compressed matrix in operators that stock ONNX Runtime runs. */
interface Replacement {
    /**
     * Adds nodes and initializers that do all that the place's nodes do.
     *
     * @return the value that comes out, F32
     */
    String addTo(GraphEditor graph, Place place);

    /** Whether it gives the compressed matrix's own numbers, or those of codes that its own were rounded to. */
    boolean isExact();

    /** How numbers are stored there, in few words for people. */
    String form();
}
