#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace ringway::sip
