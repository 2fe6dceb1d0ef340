/** Decoder loops as an engine writes them, of nothing but what the library exports to everybody. */
module io.groupreduce.examples {
    requires io.groupreduce;
    requires io.groupreduce.vector;
}
