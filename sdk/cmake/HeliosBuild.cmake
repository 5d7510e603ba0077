# Compiler settings shared by everything in the tree, and the three ways to declare a target.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(helios_flags INTERFACE)
target_compile_definitions(helios_flags INTERFACE _GNU_SOURCE)
target_compile_options(helios_flags INTERFACE
    -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
    -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wswitch-enum -fno-common -fno-omit-frame-pointer
    -fstack-protector-strong)
if(HELIOS_SANITIZE STREQUAL "address")
    target_compile_options(helios_flags INTERFACE
        -fsanitize=address,undefined -fno-sanitize-recover=all)
    target_link_options(helios_flags INTERFACE -fsanitize=address,undefined)
elseif(HELIOS_SANITIZE STREQUAL "thread")
    target_compile_options(helios_flags INTERFACE -fsanitize=thread)
    target_link_options(helios_flags INTERFACE -fsanitize=thread)
endif()
if(NOT HELIOS_SANITIZE STREQUAL "none" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # Instrumented code hides from the compiler what it proves in the plain build.
    target_compile_options(helios_flags INTERFACE
        -Wno-format-truncation -Wno-maybe-uninitialized -Wno-stringop-overflow)
endif()
set(HELIOS_CRITERION criterion)
if(NOT HELIOS_SANITIZE STREQUAL "none")
    set(HELIOS_CRITERION criterion_plain) # tests/support/plain says why
endif()
if(HELIOS_FUZZ)
    # gcc decides what is an error; clang sees other things.
    target_compile_options(helios_flags INTERFACE -fsanitize=fuzzer-no-link -Wno-error)
endif()

# hl_library(NAME [deps...]): a static library hl_NAME of every .c file in the current folder.
function(hl_library name)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    if(NOT sources)
        add_library(hl_${name} INTERFACE)
        target_link_libraries(hl_${name} INTERFACE helios_flags ${ARGN})
        target_include_directories(hl_${name} INTERFACE ${PROJECT_SOURCE_DIR}/core
            ${PROJECT_SOURCE_DIR}/sdk ${PROJECT_SOURCE_DIR}/sdk/include)
        return()
    endif()
    add_library(hl_${name} STATIC ${sources})
    target_include_directories(hl_${name} PUBLIC ${PROJECT_SOURCE_DIR}/core
        ${PROJECT_SOURCE_DIR}/sdk ${PROJECT_SOURCE_DIR}/sdk/include)
    target_link_libraries(hl_${name} PUBLIC helios_flags ${ARGN})
endfunction()

# hl_unit_tests(FOLDER libs...): one criterion program per tests/unit/FOLDER/test_*.c, run by ctest.
function(hl_unit_tests folder)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/test_*.c)
    foreach(source ${sources})
        get_filename_component(stem ${source} NAME_WE)
        set(target unit_${folder}_${stem})
        add_executable(${target} ${source})
        target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests
            ${PROJECT_SOURCE_DIR}/modules ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/sdk)
        target_link_libraries(${target} PRIVATE helios_flags ${ARGN} ${HELIOS_CRITERION} m Threads::Threads)
        add_test(NAME ${target} COMMAND ${target} -j1)
        set_tests_properties(${target} PROPERTIES LABELS unit TIMEOUT 300)
    endforeach()
endfunction()

# hl_fuzzers(FOLDER libs...): one libFuzzer program per FOLDER/fuzz_*.c, built by target `fuzzers`.
function(hl_fuzzers folder)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/fuzz_*.c)
    foreach(source ${sources})
        get_filename_component(stem ${source} NAME_WE)
        add_executable(${stem} EXCLUDE_FROM_ALL ${source})
        target_include_directories(${stem} PRIVATE ${PROJECT_SOURCE_DIR}/tests
            ${PROJECT_SOURCE_DIR}/modules ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}/sdk)
        target_link_libraries(${stem} PRIVATE helios_flags ${ARGN} m Threads::Threads)
        target_compile_options(${stem} PRIVATE -fsanitize=fuzzer -Wno-missing-prototypes)
        target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
        set_target_properties(${stem} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
        add_dependencies(fuzzers ${stem})
    endforeach()
endfunction()

# helios_add_module(NAME sources... [LIBS libs...]): bin/modules/NAME.so on the public SDK only.
function(helios_add_module name)
    cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
    add_library(${name}_module MODULE ${arg_UNPARSED_ARGUMENTS})
    target_include_directories(${name}_module PRIVATE ${PROJECT_SOURCE_DIR}/sdk
        ${PROJECT_SOURCE_DIR}/sdk/include ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(${name}_module PRIVATE helios_flags hl_kit ${arg_LIBS})
    set_target_properties(${name}_module PROPERTIES PREFIX "" OUTPUT_NAME ${name}
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin/modules)
    target_link_options(${name}_module PRIVATE -Wl,--exclude-libs,ALL)
    set_property(GLOBAL APPEND PROPERTY HELIOS_MODULES ${name}_module)
endfunction()

# hl_module_tests(NAME libs...): as hl_unit_tests, for the engine of module NAME: one program per
# tests/unit/NAME/test_*.c, linked with the module's own libraries.
function(hl_module_tests name)
    if(NOT HELIOS_TESTS)
        return()
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/${name}/test_*.c)
    foreach(source ${sources})
        get_filename_component(stem ${source} NAME_WE)
        set(target unit_${name}_${stem})
        add_executable(${target} ${source})
        target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests
            ${PROJECT_SOURCE_DIR}/modules ${PROJECT_SOURCE_DIR}/sdk)
        target_link_libraries(${target} PRIVATE helios_flags ${ARGN} ${HELIOS_CRITERION} m Threads::Threads)
        add_test(NAME ${target} COMMAND ${target} -j1)
        set_tests_properties(${target} PROPERTIES LABELS unit TIMEOUT 300)
    endforeach()
endfunction()
