# What a fatbin holds: machine code for the data-centre GPUs that the kernels are made for, and PTX, from which the
# driver makes machine code for all others that are not older.
set(GROUPREDUCE_SASS 80 90 CACHE STRING "Compute capabilities to compile machine code for")
set(GROUPREDUCE_PTX 80 CACHE STRING "Compute capabilities to compile PTX for")

set(GROUPREDUCE_GENCODE "")
foreach(architecture IN LISTS GROUPREDUCE_SASS)
  list(APPEND GROUPREDUCE_GENCODE -gencode arch=compute_${architecture},code=sm_${architecture})
endforeach()
foreach(architecture IN LISTS GROUPREDUCE_PTX)
  list(APPEND GROUPREDUCE_GENCODE -gencode arch=compute_${architecture},code=compute_${architecture})
endforeach()
