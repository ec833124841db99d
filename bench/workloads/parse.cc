#include <emmintrin.h>

#include <array>
#include <bit>

#include "bench/workloads/workload.h"
#include "protocol/sip/message.h"
#include "protocol/sip/parse.h"

namespace ringway::bench {
namespace {

// The baseline: one pass over all bytes that writes down where lines end, with what every
// processor of the architecture has.
class NewlinePass : public Workload {
 public:
  std::string_view name() const override { return "newline_pass"; }
  std::size_t bytes() const override { return invite().size(); }
  void once() override {
    const std::string_view text = invite();
    keep(text.data());
    const __m128i newline = _mm_set1_epi8('\n');
    std::size_t count = 0;
    std::size_t i = 0;
    for (; i + 16 <= text.size(); i += 16) {
      const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
      auto hits = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, newline)));
      for (; hits != 0; hits &= hits - 1) {
        ends_[count++] =
            static_cast<std::uint16_t>(i + static_cast<unsigned>(std::countr_zero(hits)));
      }
    }
    for (; i < text.size(); ++i) {
      if (text[i] == '\n') ends_[count++] = static_cast<std::uint16_t>(i);
    }
    keep(ends_);
    require(count == 30, "newline_pass: wrong number of lines");
  }

 private:
  std::array<std::uint16_t, 128> ends_{};
};

class Parse : public Workload {
 public:
  Parse(std::string_view name, std::string_view text) : name_(name), text_(text) {}
  std::string_view name() const override { return name_; }
  std::size_t bytes() const override { return text_.size(); }
  void once() override {
    const auto parsed = sip::parse_message(as_bytes(text_), sip::Framing::Datagram, view_);
    require(parsed.has_value() && view_.defect() == sip::Defect::None, "parse: refused");
    keep(view_.headers().data());
  }

 private:
  std::string_view name_, text_;
  sip::MessageView view_;
};

}  // namespace

void add_parse(Workloads& workloads) {
  workloads.push_back(std::make_unique<NewlinePass>());
  workloads.push_back(std::make_unique<Parse>("parse_invite", invite()));
  workloads.push_back(std::make_unique<Parse>("parse_response", ok_response()));
}

}  // namespace ringway::bench
