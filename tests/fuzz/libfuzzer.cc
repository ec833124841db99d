#include "tests/fuzz/targets.h"

// One target as a libFuzzer program: RINGWAY_FUZZ_TARGET is its function.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringway::fuzz::RINGWAY_FUZZ_TARGET({data, size});
  return 0;
}
