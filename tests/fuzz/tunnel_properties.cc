#include "tests/fuzz/tunnel_properties.h"

#include <string>
#include <vector>

#include "gateway/tunnel/cookie.h"
#include "gateway/tunnel/link.h"
#include "protocol/bencode/bencode.h"
#include "tests/fuzz/hold.h"
#include "tests/fuzz/targets.h"

namespace ringway::tunnel {
namespace {

using fuzz::hold;

struct Ear final : LinkOwner {
  void on_greeted(std::uint16_t) override { heard += "greeted\n"; }
  void on_message(std::uint16_t, std::uint32_t stream, std::uint32_t message,
                  Bytes bytes) override {
    hold(bytes.size() <= kMessageBytesMax, "a message is longer than a message may be");
    heard += std::to_string(stream) + " " + std::to_string(message) + " ";
    heard += as_text(bytes);
  }
  void on_refused(std::uint16_t, std::uint32_t stream, std::uint32_t, Refusal refusal) override {
    heard += "refused " + std::to_string(stream) + std::to_string(static_cast<int>(refusal));
  }
  void on_target(std::uint16_t, bool serves) override { heard += serves ? "serves" : "silent"; }
  void on_forget(std::uint16_t, std::uint32_t stream) override { heard += std::to_string(stream); }
  std::string heard;
};

constexpr Instant kNow = Instant(1000s);

std::string received(Bytes hello, Bytes stream, std::size_t step) {
  Ear ear;
  Numbers numbers;
  Link link(0, {}, ear, numbers);
  link.opened(kNow);
  hold(link.received(hello, kNow).has_value(), "our own Hello is refused");
  while (!stream.empty()) {
    const std::size_t size = std::min(step, stream.size());
    const auto done = link.received(stream.first(size), kNow);
    if (!done) return ear.heard + "error " + std::to_string(static_cast<int>(done.error()));
    stream = stream.subspan(size);
  }
  return ear.heard;
}

}  // namespace

void check_frames(Bytes input) {
  Ear ear;
  Numbers numbers;
  Link greeter(0, {}, ear, numbers);
  greeter.opened(kNow);
  std::vector<std::uint8_t> hello;
  greeter.take_output(hello);
  const std::string whole = received(hello, input, input.size() + 1);
  hold(received(hello, input, 1) == whole, "cut at each byte something else is received");
  if (!input.empty()) {
    hold(received(hello, input, 1 + input[0]) == whole, "cut elsewhere something else is received");
  }
  // Without a Hello of ours in front: nothing but an error or a greeting comes of it.
  Ear strict;
  Link link(0, {}, strict, numbers);
  link.opened(kNow);
  static_cast<void>(link.received(input, kNow));
  hold(strict.heard.empty() || strict.heard.starts_with("greeted"), "heard before the Hello");
}

void check_cookies(Bytes input) {
  const auto message = split_message(input);
  if (!message) return;
  hold(std::string(message->cookie) + std::string(message->rest) == as_text(input),
       "a split message is not what it was");
  const HashKey key{1, 2};
  const CookiePrefix prefix = make_prefix(key, as_bytes("127.0.0.1:5000"));
  std::vector<std::uint8_t> memory(input.size() + kPrefixBytes);
  for (const std::size_t bytes_max : {input.size(), input.size() + kPrefixBytes}) {
    Writer out(memory);
    const std::string cookie(write_with_prefix(*message, prefix, key, bytes_max, out));
    hold(!out.overflowed() && out.size() <= bytes_max, "a message outgrows its bound");
    const auto sent = split_message(out.written(), kSentCookieBytesMax);
    hold(sent && sent->cookie == cookie && sent->rest == message->rest,
         "under another cookie it is another message");
  }
  std::uint8_t error[kErrorBytesMax];
  Writer out(error);
  write_error(message->cookie, message->encoding, "tunnel: reason", out);
  hold(!out.overflowed(), "an error does not fit");
  const std::string_view text = out.written_text().substr(message->cookie.size() + 1);
  hold(message->encoding != Encoding::Bencode || bencode::Dictionary::parse(text),
       "an error is no bencode");
}

}  // namespace ringway::tunnel

void ringway::fuzz::check_tunnel(Bytes input) {
  tunnel::check_frames(input);
  tunnel::check_cookies(input);
}
