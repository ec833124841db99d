#include <array>

#include "bench/workloads/workload.h"
#include "protocol/base/writer.h"
#include "protocol/sip/edit.h"
#include "protocol/sip/message.h"
#include "protocol/sip/parse.h"

namespace ringway::bench {
namespace {

// What forwarding does to a request: a Via in front, received on the old one, Max-Forwards, two
// Record-Route values; parsed before.
class EditInvite : public Workload {
 public:
  std::string_view name() const override { return "parse_edit_invite"; }
  std::size_t bytes() const override { return invite().size(); }
  void once() override {
    const auto parsed = sip::parse_message(as_bytes(invite()), sip::Framing::WebSocket, view_);
    require(parsed.has_value(), "edit: refused");
    edits_.clear();
    edits_.insert(view_.headers_begin(),
                  "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK0.2f3.9d1c77aa;rport\r\n");
    const sip::Slice via = view_.slice(view_.top_via());
    edits_.insert(static_cast<std::uint16_t>(via.offset + via.size), ";received=198.51.100.7");
    const sip::Header* forwards = view_.find(sip::HeaderName::MaxForwards);
    require(forwards != nullptr, "edit: no Max-Forwards");
    edits_.replace(forwards->value, "69");
    edits_.insert(view_.headers_end(),
                  "Record-Route: <sip:192.0.2.1:5060;lr>\r\n"
                  "Record-Route: <sip:8fe2c1@192.0.2.1:8443;transport=ws;lr>\r\n");
    Writer writer(out_);
    require(edits_.write(view_, writer), "edit: did not fit");
    keep(out_);
  }

 private:
  sip::MessageView view_;
  sip::EditList edits_;
  std::array<std::uint8_t, 4096> out_;
};

// What forwarding does to a response: the top Via goes.
class EditResponse : public Workload {
 public:
  std::string_view name() const override { return "parse_edit_response"; }
  std::size_t bytes() const override { return ok_response().size(); }
  void once() override {
    const auto parsed = sip::parse_message(as_bytes(ok_response()), sip::Framing::Datagram, view_);
    require(parsed.has_value(), "edit: refused");
    edits_.clear();
    edits_.remove(*view_.find(sip::HeaderName::Via));
    Writer writer(out_);
    require(edits_.write(view_, writer), "edit: did not fit");
    keep(out_);
  }

 private:
  sip::MessageView view_;
  sip::EditList edits_;
  std::array<std::uint8_t, 4096> out_;
};

}  // namespace

void add_edit(Workloads& workloads) {
  workloads.push_back(std::make_unique<EditInvite>());
  workloads.push_back(std::make_unique<EditResponse>());
}

}  // namespace ringway::bench
