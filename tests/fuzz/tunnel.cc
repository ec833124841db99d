#include "tests/fuzz/tunnel_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringway::tunnel::check_frames({data, size});
  ringway::tunnel::check_cookies({data, size});
  return 0;
}
