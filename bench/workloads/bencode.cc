#include <array>

#include "bench/workloads/workload.h"
#include "protocol/bencode/bencode.h"

namespace ringway::bench {
namespace {

std::string_view sdp() {
  const std::size_t body = invite().find("\r\n\r\n") + 4;
  return invite().substr(body);
}

class Offer : public Workload {
 public:
  std::string_view name() const override { return "bencode_offer"; }
  void once() override {
    Writer writer(out_);
    writer.text("7f3a_12 ");
    bencode::Encoder encoder(writer);
    encoder.begin_dictionary()
        .pair("command", "offer")
        .pair("call-id", "asidkj3ss0dfgjkl34")
        .pair("from-tag", "asdyka899")
        .pair("sdp", sdp())
        .pair("ICE", "remove")
        .pair("transport-protocol", "RTP/AVP");
    encoder.key("replace").begin_list().string("origin").string("session-connection").end();
    encoder.end();
    require(!writer.overflowed(), "bencode: did not fit");
    keep(out_);
  }

 private:
  std::array<std::uint8_t, 4096> out_;
};

class Reply : public Workload {
 public:
  Reply() {
    Writer writer(reply_);
    writer.text("7f3a_12 ");
    bencode::Encoder encoder(writer);
    encoder.begin_dictionary().pair("sdp", sdp()).pair("result", "ok").end();
    size_ = writer.size();
  }
  std::string_view name() const override { return "bencode_reply"; }
  std::size_t bytes() const override { return size_; }
  void once() override {
    bencode::MessageFramer framer;
    const auto frame = framer.next(Bytes(reply_).first(size_));
    require(frame.state == bencode::Scanner::State::Complete, "bencode: incomplete");
    const auto dictionary = bencode::Dictionary::parse(frame.dictionary);
    require(dictionary && dictionary->find_string("result") == "ok", "bencode: no result");
    keep(dictionary->find_string("sdp"));
  }

 private:
  std::array<std::uint8_t, 4096> reply_{};
  std::size_t size_ = 0;
};

}  // namespace

void add_bencode(Workloads& workloads) {
  workloads.push_back(std::make_unique<Offer>());
  workloads.push_back(std::make_unique<Reply>());
}

}  // namespace ringway::bench
