#include "gateway/media/relay_protocol.h"

#include <algorithm>
#include <array>

#include "protocol/base/ascii.h"
#include "protocol/bencode/bencode.h"

namespace ringway {
namespace {

constexpr std::size_t kMediaIdMax = 640;
constexpr std::string_view kMediaIdMark = "rw";
constexpr std::size_t kMediaIdHeadBytes = 2 + 8 + 2 + 1 + 8 + 1;

// How the description is to look for the one who gets it. An answer follows what the offer of that
// side asked for; ICE and rtcp-mux are said again because the relay does not infer them.
void write_leg(const RelayRequest& request, bencode::Encoder& out) {
  const bool offer = request.command == RelayCommand::Offer;
  if (offer) out.pair("transport-protocol", profile_of(request.towards));
  if (request.towards == MediaLeg::Browser) {
    out.pair("ICE", "force");
    out.key("rtcp-mux").begin_list();
    if (offer) {
      out.string("offer").string("require");
    } else {
      out.string("accept");
    }
    out.end();
  } else {
    out.pair("ICE", "remove");
    out.key("rtcp-mux").begin_list().string("demux").end();
  }
  if (is_sdes(request.towards)) {
    out.pair("DTLS", "off");
  } else if (request.towards == MediaLeg::Browser || request.towards == MediaLeg::Dtls) {
    out.key("SDES").begin_list().string("off").end();
  }
  // That it is too busy the relay says in a result of its own.
  out.key("supports").begin_list().string("load limit").end();
  out.key("replace").begin_list().string("origin");
  if (request.zero_address_is_no_hold) out.string("zero-address");
  out.end();
  // A side may be at another address than it says, but the one that it says wins over strangers'
  // packets; and what comes from elsewhere than the address learned is nobody's media.
  out.pair("endpoint-learning", "heuristic");
  out.key("flags").begin_list().string("strict-source");
  if (request.towards == MediaLeg::Browser && offer) out.string("generate-mid");
  if (request.zero_address_is_no_hold) out.string("original-sendrecv");
  if (request.may_play) out.string("inject-DTMF");
  out.end();
  // Phones answer with numbers of their own for telephone-event (against RFC 3264 6.1), or take
  // none: the offering side keeps its number, and the relay writes what the other one takes.
  if (offer && request.towards != MediaLeg::Browser) {
    out.key("codec").begin_dictionary();
    out.key("accept").begin_list().string("telephone-event/8000").end().end();
  }
  if (!request.interface_from.empty() && !request.interface_to.empty()) {
    out.key("direction").begin_list();
    out.string(request.interface_from).string(request.interface_to).end();
  }
}

bool contains_ignoring_case(std::string_view text, std::string_view word) {
  for (std::size_t i = 0; i + word.size() <= text.size(); ++i) {
    if (ascii::equal_ignoring_case(text.substr(i, word.size()), word)) return true;
  }
  return false;
}

// Why a relay says no stands in words only: "Parallel session limit reached", "CPU usage limit
// exceeded", "Ran out of ports", "Unknown call-id"; all else is about the description. "tunnel:
// ..." and "tunnel to ..." come from a `ringway tunnel` in between that does not reach the relay:
// the next one takes the call.
RelayReply::Result result_of(std::string_view reason) {
  using Result = RelayReply::Result;
  if (reason.starts_with("tunnel: ") || reason.starts_with("tunnel to ") ||
      contains_ignoring_case(reason, "limit reached") ||
      contains_ignoring_case(reason, "limit exceeded")) {
    return Result::LoadLimit;
  }
  if (contains_ignoring_case(reason, "out of ports") ||
      contains_ignoring_case(reason, "no free ports")) {
    return Result::NoPorts;
  }
  return contains_ignoring_case(reason, "unknown call") ? Result::UnknownCall : Result::Error;
}

}  // namespace

std::string_view to_text(RelayCommand command) {
  switch (command) {
    case RelayCommand::Offer:
      return "offer";
    case RelayCommand::Answer:
      return "answer";
    case RelayCommand::Delete:
      return "delete";
    case RelayCommand::Ping:
      return "ping";
    case RelayCommand::List:
      return "list";
    case RelayCommand::Query:
      return "query";
    case RelayCommand::PlayDtmf:
      return "play DTMF";
  }
  return {};
}

void write_media_id(const RelayOwner& owner, std::string_view call_id, std::uint32_t leg,
                    Writer& out) {
  out.text(kMediaIdMark).hex(owner.gateway, 8).hex(owner.shard, 2).character('-');
  out.hex(leg, 8).character('-').text(call_id);
}

std::optional<MediaId> parse_media_id(std::string_view text) {
  if (text.size() < kMediaIdHeadBytes || !text.starts_with(kMediaIdMark)) return std::nullopt;
  const auto is_capital = [](char c) { return c >= 'A' && c <= 'F'; };
  if (std::ranges::any_of(text.substr(0, kMediaIdHeadBytes), is_capital)) return std::nullopt;
  const auto gateway = ascii::parse_hex(text.substr(2, 8));
  const auto shard = ascii::parse_hex(text.substr(10, 2));
  const auto leg = ascii::parse_hex(text.substr(13, 8));
  if (!gateway || !shard || !leg || text[12] != '-' || text[21] != '-') return std::nullopt;
  MediaId id;
  id.owner = {static_cast<std::uint32_t>(*gateway), static_cast<std::uint8_t>(*shard)};
  id.leg = static_cast<std::uint32_t>(*leg);
  id.call_id = text.substr(kMediaIdHeadBytes);
  return id;
}

void write_relay_request(std::string_view cookie, const RelayRequest& request, Writer& out) {
  std::array<std::uint8_t, kMediaIdMax> memory;
  Writer media_id(memory);
  if (request.media_id.empty()) {
    write_media_id(request.owner, request.call_id, request.leg, media_id);
  } else {
    media_id.text(request.media_id);
  }

  out.text(cookie).character(' ');
  bencode::Encoder encoder(out);
  encoder.begin_dictionary();
  encoder.pair("command", to_text(request.command));
  if (request.command != RelayCommand::Ping && request.command != RelayCommand::List) {
    encoder.pair("call-id", media_id.written_text());
  }
  switch (request.command) {
    case RelayCommand::Offer:
    case RelayCommand::Answer:
      encoder.pair("from-tag", request.from_tag);
      if (request.command == RelayCommand::Answer) encoder.pair("to-tag", request.to_tag);
      encoder.pair("sdp", request.sdp);
      write_leg(request, encoder);
      break;
    case RelayCommand::Delete:
      // With a tag that the session has, the reply says what passed; with another one nothing is
      // deleted; without one all is. Without delay the ports are free at once.
      if (!request.from_tag.empty()) encoder.pair("from-tag", request.from_tag);
      encoder.pair("delete-delay", 0);
      break;
    case RelayCommand::List:
      encoder.pair("limit", request.limit);
      break;
    case RelayCommand::PlayDtmf:
      encoder.pair("from-tag", request.from_tag);
      encoder.pair("code", request.event);
      encoder.pair("duration", request.milliseconds);
      break;
    case RelayCommand::Ping:
    case RelayCommand::Query:
      break;
  }
  encoder.end();
}

std::optional<RelayReply> parse_relay_reply(std::string_view dictionary) {
  const auto reply = bencode::Dictionary::parse(dictionary);
  if (!reply) return std::nullopt;
  const auto result = reply->find_string("result");
  if (!result) return std::nullopt;
  RelayReply parsed;
  parsed.whole = dictionary;
  if (*result == "ok") {
    parsed.result = RelayReply::Result::Ok;
    parsed.sdp = reply->find_string("sdp").value_or(std::string_view{});
  } else if (*result == "pong") {
    parsed.result = RelayReply::Result::Pong;
  } else if (*result == "load limit") {
    parsed.result = RelayReply::Result::LoadLimit;
    parsed.reason = reply->find_string("message").value_or(std::string_view{});
  } else {
    parsed.reason = reply->find_string("error-reason").value_or(std::string_view{});
    parsed.result = result_of(parsed.reason);
  }
  return parsed;
}

namespace {

// The streams of one side that carry RTP; each counts what came from there. RTCP beside it does not
// count: it flows also where nobody is heard.
void add_streams(const bencode::Dictionary& media, std::uint64_t& packets, std::uint64_t& bytes) {
  auto streams = media.find_list("streams");
  while (streams) {
    const auto value = streams->next();
    if (!value) return;
    const auto stream = value->dictionary();
    if (!stream) continue;
    bool rtp = true;
    auto flags = stream->find_list("flags");
    while (flags) {
      const auto flag = flags->next();
      if (!flag) break;
      const std::string_view word = flag->string().value_or(std::string_view{});
      if (word == "RTP") {
        rtp = true;
        break;
      }
      if (word == "RTCP") rtp = false;
    }
    const auto stats = rtp ? stream->find_dictionary("stats") : std::nullopt;
    if (!stats) continue;
    packets += static_cast<std::uint64_t>(
        std::max<std::int64_t>(stats->find_integer("packets").value_or(0), 0));
    bytes += static_cast<std::uint64_t>(
        std::max<std::int64_t>(stats->find_integer("bytes").value_or(0), 0));
  }
}

}  // namespace

RelayTotals read_totals(const RelayReply& reply, std::array<std::string_view, 2> tags) {
  RelayTotals totals;
  const auto whole = bencode::Dictionary::parse(reply.whole);
  const auto sides = whole ? whole->find_dictionary("tags") : std::nullopt;
  if (!sides) return totals;
  totals.known = true;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const auto side = sides->find_dictionary(tags[i]);
    auto medias = side ? side->find_list("medias") : std::nullopt;
    while (medias) {
      const auto media = medias->next();
      if (!media) break;
      if (const auto dictionary = media->dictionary()) {
        add_streams(*dictionary, totals.packets[i], totals.bytes[i]);
      }
    }
  }
  return totals;
}

}  // namespace ringway
