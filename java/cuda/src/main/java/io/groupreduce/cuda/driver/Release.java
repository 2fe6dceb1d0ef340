package io.groupreduce.cuda.driver;

import java.util.List;
import java.util.stream.Stream;

/** The libraries of one CUDA release, by the names that programs load them under, in the order of what needs what. */
enum Release {
    CUDA_13(13, "libcublas.so.13", "libcusolver.so.12", List.of("libnvJitLink.so.13", "libcublasLt.so.13")),
    CUDA_12(12, "libcublas.so.12", "libcusolver.so.11", List.of("libnvJitLink.so.12", "libcublasLt.so.12"));

    final int major;
    final String blas;
    final String solver;
    /** What cuBLAS and cuSPARSE need. */
    final List<String> before;
    /** What cuSOLVER needs beside cuBLAS; it kept its number in CUDA 13. */
    final List<String> between = List.of("libcusparse.so.12");

    Release(int major, String blas, String solver, List<String> before) {
        this.major = major;
        this.blas = blas;
        this.solver = solver;
        this.before = before;
    }

    /** All that cuBLAS and cuSOLVER need. */
    Stream<String> needed() {
        return Stream.concat(before.stream(), between.stream());
    }

    String pair() {
        return blas + " with " + solver;
    }
}
