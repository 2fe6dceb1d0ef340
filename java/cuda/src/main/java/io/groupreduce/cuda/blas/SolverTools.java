package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.driver.Device;

/** What the eigensolvers of one device share. */
record SolverTools(Device device, Cublas blas, Cusolver solver, EigenKernels kernels) {}
