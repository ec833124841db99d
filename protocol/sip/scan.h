#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/base/bytes.h"

namespace ringway::sip {

// Where the lines of a header section end: offsets of LF, in order, until (and including) the LF
// of the empty line, at most capacity of them. Bare LF is accepted as line end by the parser
// only where RFC 4475 asks for it; the scan reports every LF.
// Returns how many were written; complete says whether the empty line was seen.
struct LineScan {
  std::size_t count = 0;
  bool complete = false;
};
LineScan scan_lines(Bytes text, std::uint16_t* line_ends, std::size_t capacity);

// The same without vector instructions, for the differential test.
LineScan scan_lines_scalar(Bytes text, std::uint16_t* line_ends, std::size_t capacity);

}  // namespace ringway::sip
