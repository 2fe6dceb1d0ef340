/** An engineer's own module, which embeds the library. */
module consumer {
    requires io.groupreduce;
    // For compressing; queries need none.
    requires ojalgo;
}
