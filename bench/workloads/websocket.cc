#include <algorithm>
#include <array>
#include <vector>

#include "bench/workloads/workload.h"
#include "protocol/base/writer.h"
#include "protocol/websocket/connection.h"
#include "protocol/websocket/frame.h"

namespace ringway::bench {
namespace {

// A masked text frame arrives whole; its bytes are copied in first, as they come from TLS.
class FrameIn : public Workload {
 public:
  FrameIn() : frame_(invite().size() + websocket::kFrameHeaderBytesMax), plain_(frame_.size()) {
    const websocket::Mask mask = {0x37, 0xfa, 0x21, 0x3d};
    Writer writer(frame_);
    websocket::write_masked_frame_header(websocket::Opcode::Text, invite().size(), mask, writer);
    const std::size_t head = writer.size();
    writer.text(invite());
    websocket::apply_mask(MutableBytes(frame_).subspan(head, invite().size()), mask, 0);
    frame_.resize(writer.size());
  }
  std::string_view name() const override { return "websocket_in"; }
  std::size_t bytes() const override { return frame_.size(); }
  void once() override {
    std::copy(frame_.begin(), frame_.end(), plain_.begin());
    MutableBytes input = MutableBytes(plain_).first(frame_.size());
    const websocket::Event event = connection_.next(input);
    require(
        event.kind == websocket::Event::Kind::Message && event.payload.size() == invite().size(),
        "websocket_in: no message");
    require(connection_.next(input).kind == websocket::Event::Kind::None, "websocket_in: more");
  }

 private:
  std::vector<std::uint8_t> frame_, plain_;
  websocket::Connection connection_;
};

class FrameOut : public Workload {
 public:
  std::string_view name() const override { return "websocket_out"; }
  std::size_t bytes() const override { return ok_response().size(); }
  void once() override {
    Writer writer(out_);
    websocket::write_frame_header(websocket::Opcode::Text, ok_response().size(), writer);
    writer.text(ok_response());
    keep(out_);
  }

 private:
  std::array<std::uint8_t, 4096> out_;
};

}  // namespace

void add_websocket(Workloads& workloads) {
  workloads.push_back(std::make_unique<FrameIn>());
  workloads.push_back(std::make_unique<FrameOut>());
}

}  // namespace ringway::bench
