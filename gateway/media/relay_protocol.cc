#include "gateway/media/relay_protocol.h"

#include <array>

#include "protocol/base/ascii.h"
#include "protocol/bencode/bencode.h"

namespace ringway {
namespace {

constexpr std::size_t kMediaIdMax = 640;

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
  out.end();
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
// exceeded", "Ran out of ports", "Unknown call-id"; all else is about the description.
RelayReply::Result result_of(std::string_view reason) {
  using Result = RelayReply::Result;
  if (contains_ignoring_case(reason, "limit reached") ||
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
  }
  return {};
}

void write_media_id(std::string_view call_id, std::uint32_t leg, Writer& out) {
  out.text(call_id).text("-rw").hex(leg, 8);
}

void write_relay_request(std::string_view cookie, const RelayRequest& request, Writer& out) {
  std::array<std::uint8_t, kMediaIdMax> memory;
  Writer media_id(memory);
  write_media_id(request.call_id, request.leg, media_id);

  out.text(cookie).character(' ');
  bencode::Encoder encoder(out);
  encoder.begin_dictionary();
  encoder.pair("command", to_text(request.command));
  if (request.command != RelayCommand::Ping) encoder.pair("call-id", media_id.written_text());
  switch (request.command) {
    case RelayCommand::Offer:
    case RelayCommand::Answer:
      encoder.pair("from-tag", request.from_tag);
      if (request.command == RelayCommand::Answer) encoder.pair("to-tag", request.to_tag);
      encoder.pair("sdp", request.sdp);
      write_leg(request, encoder);
      break;
    case RelayCommand::Delete:
      encoder.pair("from-tag", request.from_tag);
      // Without statistics the reply stays small; without delay the ports are free at once.
      encoder.pair("delete-delay", 0);
      encoder.key("flags").begin_list().string("fast").end();
      break;
    case RelayCommand::Ping:
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

}  // namespace ringway
