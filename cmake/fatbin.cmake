# groupreduce_fatbins(TARGET FOLDER FILE.cu...): compiles each file to FOLDER/groupreduce-<name>.fatbin and lists them,
# a name a line, in FOLDER/kernels.list. One module a file: local names never clash, and a change compiles one file.
function(groupreduce_fatbins target folder)
  set(fatbins "")
  set(names "")
  # Another compiler or list of cards compiles all anew.
  set(how ${CMAKE_CURRENT_BINARY_DIR}/fatbin-flags)
  file(GENERATE OUTPUT ${how} CONTENT "nvcc ${GROUPREDUCE_NVCC_RELEASE} ${GROUPREDUCE_COMPRESS} ${GROUPREDUCE_GENCODE}\n")
  foreach(source IN LISTS ARGN)
    get_filename_component(name ${source} NAME_WE)
    set(fatbin ${folder}/groupreduce-${name}.fatbin)
    set(depfile ${CMAKE_CURRENT_BINARY_DIR}/groupreduce-${name}.d)
    add_custom_command(
      OUTPUT ${fatbin}
      COMMAND ${GROUPREDUCE_NVCC} -std=c++17 -O3 -fatbin -t 0 ${GROUPREDUCE_COMPRESS} ${GROUPREDUCE_GENCODE}
        -I ${CMAKE_CURRENT_SOURCE_DIR}/include -MD -MF ${depfile} -MT ${fatbin} -o ${fatbin} ${source}
      DEPENDS ${source} ${how}
      DEPFILE ${depfile}
      COMMENT "Compiling ${name}.cu for GPUs"
      VERBATIM)
    list(APPEND fatbins ${fatbin})
    string(APPEND names "groupreduce-${name}.fatbin\n")
  endforeach()
  file(GENERATE OUTPUT ${folder}/kernels.list CONTENT "${names}")

  # Those of sources that are gone.
  file(GLOB present ${folder}/groupreduce-*.fatbin)
  foreach(fatbin IN LISTS present)
    if(NOT fatbin IN_LIST fatbins)
      file(REMOVE ${fatbin})
    endif()
  endforeach()
  add_custom_target(${target} DEPENDS ${fatbins})
endfunction()

# groupreduce_cubins(TARGET FOLDER FILE.cu...): machine code of two cards to be read, FOLDER/<name>.sm_<card>.cubin with what the compiler
# says of it in .cubin.log: those in fatbins are compressed.
function(groupreduce_cubins target folder)
  set(cubins "")
  foreach(source IN LISTS ARGN)
    get_filename_component(name ${source} NAME_WE)
    foreach(card IN ITEMS 80 90a)
      set(cubin ${folder}/${name}.sm_${card}.cubin)
      add_custom_command(
        OUTPUT ${cubin}
        COMMAND ${GROUPREDUCE_NVCC} -std=c++17 -O3 -cubin -arch=sm_${card} -Xptxas -v
          -I ${CMAKE_CURRENT_SOURCE_DIR}/include -MD -MF ${cubin}.d -MT ${cubin} -o ${cubin} ${source} 2> ${cubin}.log
        DEPENDS ${source}
        DEPFILE ${cubin}.d
        COMMENT "Compiling ${name}.cu for sm_${card}, to be read")
      list(APPEND cubins ${cubin})
    endforeach()
  endforeach()
  file(GLOB present ${folder}/*.cubin)
  foreach(cubin IN LISTS present)
    if(NOT cubin IN_LIST cubins)
      file(REMOVE ${cubin} ${cubin}.log)
    endif()
  endforeach()
  add_custom_target(${target} DEPENDS ${cubins})
endfunction()
