# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
# add_affordance_replay_test(NAME BAG folder PROMPTS file [LABELS file] [GATES file] [MODEL name] [CHECKPOINT folder]
#   [LIVE] [TIMEOUT seconds] [FIXTURES name...] [OPTIONS further options of affordance eval ...])
#
# Asks the model about the bag, or with LIVE the real nodes, and fails when a gate fails. The report is in
# test_results/NAME/report.html of the build folder, where `colcon test-result` also finds junit.xml.
find_program(AFFORDANCE affordance REQUIRED)

function(add_affordance_replay_test name)
  cmake_parse_arguments(ARG "LIVE" "BAG;PROMPTS;LABELS;GATES;MODEL;CHECKPOINT;TIMEOUT" "FIXTURES;OPTIONS" ${ARGN})
  foreach(needed BAG PROMPTS)
    if(NOT ARG_${needed})
      message(FATAL_ERROR "add_affordance_replay_test(${name}) needs ${needed}")
    endif()
  endforeach()
  set(out ${CMAKE_CURRENT_BINARY_DIR}/test_results/${name})
  set(verb bag)
  if(ARG_LIVE)
    set(verb live)
  endif()
  set(given)
  foreach(option LABELS GATES MODEL CHECKPOINT)
    if(ARG_${option})
      string(TOLOWER ${option} flag)
      list(APPEND given --${flag} ${ARG_${option}})
    endif()
  endforeach()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  # A run is never written over: that of the last time goes first.
  add_test(NAME ${name}_clean COMMAND ${CMAKE_COMMAND} -E rm -rf ${out})
  set_tests_properties(${name}_clean PROPERTIES FIXTURES_SETUP ${name}_clean)
  add_test(NAME ${name} COMMAND ${AFFORDANCE} eval ${verb} ${ARG_BAG} --prompts ${ARG_PROMPTS} --out ${out} ${given}
    ${ARG_OPTIONS})
  set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED "${name}_clean;${ARG_FIXTURES}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
