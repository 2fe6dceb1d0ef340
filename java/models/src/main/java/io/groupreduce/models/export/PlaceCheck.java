package io.groupreduce.models.export;

/** How far what a graph gives in a place is from what a compressed matrix gives. */
interface PlaceCheck {
    /** The norm of all differences as a share of that of what the graph gives. */
    double error();

    /** How near it is to its own rows, as a share of how near it is to their neighbours': clearly below 1 of a matrix that stands for them. */
    double nearness();

    /** Rows of an embedding, or hidden states of an output layer, that were looked at. */
    int counted();
}
