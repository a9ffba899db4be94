# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
# Included by project() when the ROS prefix is a virtual environment filled from wheels (CMAKE_PROJECT_INCLUDE).
# The wheels record the Python include folder of the machine that built them; a target that names a folder which is
# not here cannot be linked, so that entry is dropped and the headers come from Python3_EXECUTABLE.
foreach(dependency action_msgs builtin_interfaces geometry_msgs lifecycle_msgs rosgraph_msgs sensor_msgs
                   service_msgs shape_msgs std_msgs trajectory_msgs unique_identifier_msgs visualization_msgs)
  find_package(${dependency} QUIET)
  set(target ${dependency}::${dependency}__rosidl_generator_py)
  if(TARGET ${target})
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    list(FILTER folders EXCLUDE REGEX "^/opt/python/")
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${folders}")
  endif()
endforeach()
