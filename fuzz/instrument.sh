#!/bin/sh
# Stands between cargo and rustc while fuzzing: compiles this workspace's own crates so that libFuzzer sees which edges an
# input takes and what is compared. Works on stable Rust: passes and their options are LLVM's. As the wrapper of workspace
# members it leaves dependencies as ordinary builds have them, so that these are not built twice.
exec "$@" -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
    -C llvm-args=-sanitizer-coverage-trace-compares
