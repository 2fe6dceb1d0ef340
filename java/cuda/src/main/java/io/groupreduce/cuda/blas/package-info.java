/**
 * cuBLAS and cuSOLVER by their C functions, and the eigensolvers that stand on them. Matrices are column-major, as in
 * BLAS.
 */
package io.groupreduce.cuda.blas;
