#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "gateway/media/relay_protocol.h"
#include "gateway/nat/flow_token.h"
#include "protocol/bencode/bencode.h"
#include "protocol/sdp/body.h"
#include "protocol/sdp/codec_name.h"
#include "protocol/sdp/connections.h"
#include "protocol/sdp/for_browser.h"
#include "protocol/sdp/media_traits.h"
#include "protocol/sdp/offer_answer.h"
#include "protocol/sdp/slim.h"
#include "tests/fuzz/edge_properties.h"
#include "tests/fuzz/hold.h"

namespace ringway::fuzz {
namespace {

using sdp::SlimResult;

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// --- Descriptions --------------------------------------------------------------------------------

// What came of a rewriting is a description with as many sections.
void check_written(SlimResult result, const Writer& out, std::size_t sections, const char* what) {
  hold(result == SlimResult::Slimmed && !out.overflowed(), what);
  const auto body = sdp::Body::parse(out.written_text());
  hold(body.has_value() && body->media_count() == sections, what, out.written_text());
}

void check_rewriting(std::string_view text, std::size_t sections) {
  // An m= section may gain a c= line, a group or a mid at most.
  static std::vector<std::uint8_t> memory(4 * sdp::kBodyBytesMax), more(4 * sdp::kBodyBytesMax);
  Writer slim(MutableBytes(memory).first(text.size()));
  check_written(sdp::slim_for_plain(text, slim), slim, sections, "slimmed");
  Writer again(MutableBytes(more).first(slim.size()));
  check_written(sdp::slim_for_plain(slim.written_text(), again), again, sections, "twice");
  Writer with_lines(memory);
  const std::size_t longest = text.size() + (sections + 1) * (text.size() + 2);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  // Else the result may be none any more.
  const bool fits = longest <= sdp::kBodyBytesMax && lines + sections + 2 <= sdp::kLinesMax;
  const SlimResult connections = sdp::write_media_connections(text, with_lines);
  if (fits) check_written(connections, with_lines, sections, "with connections");
  for (const bool bundle : {false, true}) {
    Writer for_browser(memory);
    sdp::BrowserRules rules;
    rules.bundle = bundle;
    rules.is_private = [](std::string_view address) { return address.starts_with("10."); };
    const SlimResult result = sdp::write_for_browser(text, rules, for_browser);
    if (fits) check_written(result, for_browser, sections, "for a browser");
    rules.offer = text;
    Writer answer(more);
    const SlimResult answered = sdp::write_for_browser(text, rules, answer);
    if (fits) check_written(answered, answer, sections, "an answer for a browser");
  }
}

void check_description(std::string_view text) {
  std::array<std::uint8_t, 64> memory;
  hold(sdp::first_codec(text).size <= 23, "the name of a codec");
  const auto body = sdp::Body::parse(text);
  const auto traits = sdp::read_traits(text);
  hold(body.has_value() == traits.has_value(), "two readers of a description");
  if (!body) {
    Writer out(memory);
    hold(sdp::slim_for_plain(text, out) == SlimResult::NotSdp && out.size() == 0, "not SDP");
    return;
  }
  hold(traits->media_count == body->media_count(), "sections");
  std::size_t bytes = body->session().size();
  for (std::size_t i = 0; i < body->media_count(); ++i) {
    hold(inside(body->media(i), text) && body->media(i).starts_with("m="), "a section");
    bytes += body->media(i).size();
    hold(inside(traits->media()[i].mid, text), "a mid");
  }
  hold(bytes <= text.size(), "sections lie in the text");
  traits->is_webrtc();
  traits->has_zero_address();
  check_rewriting(text, body->media_count());
}

// Any sequence of messages is allowed.
void check_offers(Bytes input) {
  sdp::OfferAnswer machine;
  for (std::size_t i = 0; i + 1 < input.size() && i < 400; i += 2) {
    const auto end = (input[i] & 1) != 0 ? sdp::End::Caller : sdp::End::Callee;
    const auto carrier = static_cast<sdp::Carrier>(input[i] / 2 % 9);
    const std::uint32_t cseq = input[i + 1] & 7U;
    if ((input[i + 1] & 0x40) != 0) {
      static_cast<void>(machine.refused(end, carrier, cseq));
      hold(!machine.previewed() || machine.outstanding(), "a preview of no offer");
      continue;
    }
    const bool described = (input[i + 1] & 0x80) != 0;
    const auto action = machine.pass({end, carrier, cseq, described});
    hold(!sdp::to_text(action).empty(), "an action");
    if (action == sdp::Action::Offer) hold(machine.outstanding() == end, "whose offer it is");
    if (action == sdp::Action::Answer) hold(machine.agreed() && !machine.outstanding(), "agreed");
    if (!described) hold(action != sdp::Action::Offer && action != sdp::Action::Answer, "of none");
  }
}

// --- The relay -----------------------------------------------------------------------------------

// depth: of dictionaries and lists around what is looked at, without the dictionary itself.
void walk(const bencode::Dictionary& dictionary, std::string_view text, int depth);

void walk(bencode::Value value, std::string_view text, int depth) {
  hold(depth <= static_cast<int>(bencode::kDepthMax), "deeper than it may be");
  if (const auto string = value.string()) hold(inside(*string, text), "a string");
  value.integer();
  if (auto list = value.list()) {
    while (const auto element = list->next()) walk(*element, text, depth + 1);
  }
  if (const auto inner = value.dictionary()) walk(*inner, text, depth);
}

void walk(const bencode::Dictionary& dictionary, std::string_view text, int depth) {
  std::string_view rest = dictionary.pairs();
  while (const auto pair = bencode::Dictionary::next_pair(rest)) {
    hold(inside(pair->key, text) && dictionary.find(pair->key).has_value(), "a key");
    walk(pair->value, text, depth + 1);
  }
}

std::string frames_of(std::string_view stream, std::size_t step) {
  bencode::MessageFramer framer;
  std::string all;
  std::size_t begin = 0;
  for (std::size_t end = 0; end < stream.size();) {
    end = std::min(end + step, stream.size());
    for (;;) {
      const auto frame = framer.next(as_bytes(stream.substr(begin, end - begin)));
      if (frame.state == bencode::Scanner::State::Malformed) return all + "malformed";
      if (frame.state == bencode::Scanner::State::Incomplete) break;
      hold(frame.size > 0 && begin + frame.size <= end, "frames lie in the stream");
      hold(!frame.cookie.empty() && frame.cookie.size() <= bencode::kCookieBytesMax, "a cookie");
      const auto dictionary = bencode::Dictionary::parse(frame.dictionary);
      hold(dictionary.has_value(), "a frame holds a dictionary");
      walk(*dictionary, frame.dictionary, 0);
      all += std::to_string(frame.size) + " ";
      begin += frame.size;
    }
  }
  return all;
}

void check_reply(std::string_view text) {
  if (const auto dictionary = bencode::Dictionary::parse(text)) walk(*dictionary, text, 0);
  const auto reply = parse_relay_reply(text);
  if (!reply) return;
  hold(inside(reply->sdp, text) && inside(reply->reason, text), "parts of a reply");
  read_totals(*reply, {"a", "b"});
}

}  // namespace

void check_sdp(Bytes input) {
  check_description(as_text(input));
  check_offers(input);
}

void check_relay(Bytes input) {
  const std::string_view text = as_text(input);
  check_reply(text);
  if (text.empty()) return;
  const std::string whole = frames_of(text, text.size());
  hold(frames_of(text, 1) == whole, "cut at each byte they are other frames");
  hold(frames_of(text, 1 + input[0] % 64U) == whole, "cut elsewhere they are other frames");
  if (const auto id = parse_media_id(text)) {
    std::vector<std::uint8_t> memory(text.size() + 64);
    Writer out(memory);
    write_media_id(id->owner, id->call_id, id->leg, out);
    hold(out.written_text() == text, "one spelling of a media session", out.written_text());
  }
}

void check_token(Bytes input) {
  static const tls::Mac kMac(tls::MacKey{4, 7, 1, 1});
  const std::string_view text = as_text(input);
  looks_like_old_flow_token(text);
  const auto token = read_flow_token(text, kMac, "call");
  if (!token) return;
  hold(looks_like_flow_token(text), "a token that does not look like one");
  std::array<std::uint8_t, kFlowTokenTextMax> memory;
  Writer out(memory);
  write_flow_token(*token, kMac, "call", out);
  hold(out.written_text() == text, "one spelling of a token");
}

}  // namespace ringway::fuzz
