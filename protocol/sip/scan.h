#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/base/bytes.h"

namespace ringway::sip {

// Where the lines of a header section end: offsets of LF, in order, until (and including) the LF
// of the empty line, at most capacity of them. A line is empty if nothing, or a single CR, stands
// between two LF. The scan reports every LF; regular says whether each was a CRLF.
struct LineScan {
  std::size_t count = 0;  // line ends written
  bool complete = false;  // the empty line was seen
  bool regular = true;    // up to the last line end reported: no LF without CR, no CR without LF
  bool controls = false;  // up to there: a control character other than HTAB, CR and LF
  friend bool operator==(const LineScan&, const LineScan&) = default;
};
// At most 65,535 bytes. Reads nothing outside text.
LineScan scan_lines(Bytes text, std::uint16_t* line_ends, std::size_t capacity);

// The same without vector instructions, for the differential test.
LineScan scan_lines_scalar(Bytes text, std::uint16_t* line_ends, std::size_t capacity);

// The same with AVX2 where the processor has it, for the differential test: scan_lines() takes
// wider vectors if it can.
LineScan scan_lines_avx2(Bytes text, std::uint16_t* line_ends, std::size_t capacity);

// The same with what every processor of the architecture has (SSE2), for the differential test.
LineScan scan_lines_baseline(Bytes text, std::uint16_t* line_ends, std::size_t capacity);

// Offset behind the first empty line whose preceding LF stands at or after from; npos if there is
// none. It agrees with scan_lines about which line is empty.
std::size_t find_head_end(std::string_view text, std::size_t from);

}  // namespace ringway::sip
