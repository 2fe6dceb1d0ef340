/** An engineer's own module, which embeds the library. */
module consumer {
    requires io.groupreduce;

    uses io.groupreduce.spi.BackendProvider;
}
