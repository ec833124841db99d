#include "tests/fuzz/properties.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/sip/branch.h"
#include "protocol/sip/build.h"
#include "protocol/sip/edit.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/params.h"
#include "protocol/sip/parse.h"
#include "protocol/sip/scan.h"
#include "protocol/sip/stream_framer.h"
#include "protocol/sip/uri.h"
#include "protocol/sip/validate.h"
#include "protocol/sip/via.h"
#include "tests/fuzz/hold.h"

namespace ringway::fuzz {
namespace {

using namespace ringway::sip;

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// The index says what the bytes say.
void check_index(const MessageView& view, std::string_view input) {
  const std::string_view text = view.text();
  hold(inside(text, input), "text inside input");
  hold(view.headers_begin() <= view.headers_end(), "headers begin before they end");
  hold(view.headers_end() < text.size(), "head ends inside text");
  hold(inside(view.body(), text) && inside(view.top_via(), text), "parts inside text");
  hold(inside(view.start_line(), text) && inside(view.reason(), text), "start line inside text");
  std::size_t begin = view.headers_begin();
  for (const Header& header : view.headers()) {
    hold(header.begin == begin && header.begin < header.end, "lines follow each other");
    hold(text[header.end - 1U] == '\n', "a line ends with LF");
    const std::string_view line = text.substr(header.begin, header.end - header.begin);
    hold(inside(view.text(header.name_text), line), "name inside its line");
    hold(inside(view.text(header.value), line), "value inside its line");
    hold(parse_header_name(view.text(header.name_text)) == header.name, "name as written");
    begin = header.end;
  }
  if (view.defect() == Defect::None) hold(begin == view.headers_end(), "no line forgotten");
  for (int i = 1; i <= static_cast<int>(HeaderName::Identity); ++i) {
    const auto name = static_cast<HeaderName>(i);
    std::size_t count = 0;
    for (const Header& header : view.headers()) count += header.name == name ? 1U : 0U;
    hold(view.count(name) == count, "count of a name");
    hold(view.repeats(name) == (count > 1), "repeats of a name");
  }
}

void check_scans(Bytes input) {
  const Bytes text = input.first(std::min<std::size_t>(input.size(), kMessageBytesMax));
  std::array<std::uint16_t, 64> fast;
  std::array<std::uint16_t, 64> middle;
  std::array<std::uint16_t, 64> base;
  std::array<std::uint16_t, 64> slow;
  const LineScan expected = scan_lines_scalar(text, slow.data(), slow.size());
  hold(scan_lines(text, fast.data(), fast.size()) == expected, "vector scan");
  hold(scan_lines_avx2(text, middle.data(), middle.size()) == expected, "AVX2 scan");
  hold(scan_lines_baseline(text, base.data(), base.size()) == expected, "baseline scan");
  for (std::size_t i = 0; i < expected.count; ++i) {
    hold(fast[i] == slow[i] && middle[i] == slow[i] && base[i] == slow[i], "line ends");
  }
}

// A response to anything that has a view is one message, whose head holds nothing of a stranger's
// making but whole values.
void check_response(const MessageView& request, bool request_is_valid) {
  static std::array<std::uint8_t, 2 * kMessageBytesMax> memory;
  static MessageView again;
  Writer out(memory);
  write_response(request, 400, {.to_tag = "t1"}, out);
  hold(!out.overflowed(), "response fits");
  StreamFramer framer;
  const auto frame = framer.next(out.written());
  if (request_is_valid) {
    hold(frame.kind == StreamFramer::Kind::Message && frame.size == out.size(), "one response");
    hold(parse_message(out.written(), Framing::Stream, again).has_value(), "response parses");
    hold(validate_response(again).ok(), "response is valid");
    hold(again.headers().size() <= request.headers().size() + 1, "no header added");
  } else if (frame.kind == StreamFramer::Kind::Message) {
    hold(frame.size == out.size(), "no second message in a response");
  }
}

void check_followers(const MessageView& request) {
  static std::array<std::uint8_t, 2 * kMessageBytesMax> memory;
  static MessageView again;
  Writer out(memory);
  write_cancel(request, "", out);
  hold(parse_message(out.written(), Framing::Stream, again).has_value(), "CANCEL parses");
  hold(validate_request(again).ok(), "CANCEL is valid");
}

}  // namespace

void check_message(Bytes input) {
  static MessageView view;
  check_scans(input);
  for (const Framing framing : {Framing::Datagram, Framing::WebSocket, Framing::Stream}) {
    if (!parse_message(input, framing, view)) continue;
    check_index(view, as_text(input));
    Essentials out;
    if (!view.is_request()) {
      validate_response(view, out);
      continue;
    }
    const Verdict verdict = validate_request(view, out);
    if (verdict.ok()) {
      hold(view.defect() == Defect::None, "a defect is refused");
      hold(inside(out.call_id, view.text()) && inside(out.via.text, view.text()), "essentials");
      hold(out.from_tag == find_tag(view.value(HeaderName::From)), "one reading of the From tag");
      hold(out.to_tag == find_tag(view.value(HeaderName::To)), "one reading of the To tag");
      hold(out.request_uri.text == view.request_uri(), "Request-URI as it stands");
      check_followers(view);
    }
    check_response(view, verdict.ok());
  }
}

void check_framer(Bytes input) {
  static MessageView view;
  if (input.size() < 4) return;
  const std::array<std::size_t, 4> parts = {input[0] + 1U, input[1] + 1U, input[2] % 8U + 1U,
                                            input[3] + 1U};
  const Bytes stream = input.subspan(4);
  // Where frames of the whole stream end, taken at once.
  std::vector<std::size_t> whole;
  bool whole_broken = false;
  StreamFramer at_once;
  for (std::size_t begin = 0;;) {
    const auto frame = at_once.next(stream.subspan(begin));
    whole_broken = frame.kind == StreamFramer::Kind::Broken;
    if (whole_broken || frame.kind == StreamFramer::Kind::Incomplete) break;
    if (frame.kind == StreamFramer::Kind::Message) {
      const Bytes message = stream.subspan(begin, frame.size);
      if (parse_message(message, Framing::Stream, view)) {
        hold(view.text().size() == frame.size, "framer and parser agree about the end");
        hold(view.defect() != Defect::ContentLength && view.defect() != Defect::BodyTooShort &&
                 view.defect() != Defect::BodyTooLarge && view.defect() != Defect::HeadTooLarge,
             "framer and parser agree about the length");
        // With everything behind it, as in one datagram, the message is the same; but one whose
        // Content-Length stands behind the last header that is read, which is refused.
        const Bytes rest = stream.subspan(begin);
        const bool has_length = view.has(HeaderName::ContentLength);
        hold(has_length || view.defect() != Defect::None, "without a length it is refused");
        if (has_length && rest.size() <= kMessageBytesMax) {
          hold(parse_message(rest, Framing::Datagram, view).has_value(), "still readable");
          hold(view.text().size() == frame.size, "the same message in front of others");
        }
      }
    }
    begin += frame.size;
    if (frame.kind != StreamFramer::Kind::Padding) whole.push_back(begin);  // that may be cut
    hold(frame.size > 0 && begin <= stream.size(), "frames lie in the stream");
  }
  // The same in parts.
  std::vector<std::size_t> cut;
  bool cut_broken = false;
  StreamFramer in_parts;
  std::size_t begin = 0;
  std::size_t turn = 0;
  for (std::size_t end = 0; end < stream.size() && !cut_broken;) {
    end = std::min(end + parts[turn++ % parts.size()], stream.size());
    while (true) {
      const auto frame = in_parts.next(stream.subspan(begin, end - begin));
      cut_broken = frame.kind == StreamFramer::Kind::Broken;
      if (cut_broken || frame.kind == StreamFramer::Kind::Incomplete) break;
      begin += frame.size;
      if (frame.kind != StreamFramer::Kind::Padding) cut.push_back(begin);
    }
  }
  hold(cut == whole && cut_broken == whole_broken, "parts do not change the frames");
}

void check_address(Bytes input) {
  const std::string_view text = as_text(input);
  if (const auto uri = parse_uri(text)) {
    hold(uri->text == text, "all of the text");
    for (const std::string_view part :
         {uri->user, uri->host, uri->params, uri->headers, uri->scheme_text}) {
      hold(inside(part, text), "parts of a URI");
    }
    for (const char c : text) hold(c != ' ' && c != '\r' && c != '\n' && c != '>', "clean URI");
    const bool sip = uri->scheme == Scheme::Sip || uri->scheme == Scheme::Sips;
    if (sip) hold(!uri->host.empty(), "a host");
    equivalent(*uri, *uri);
    // The name-addr form holds the same URI.
    const std::string bracketed = "<" + std::string(text) + ">;tag=x";
    const auto address = parse_name_addr(bracketed);
    hold(address.has_value() && address->uri.text == text, "the same URI in brackets");
    hold(address->tag() == "x" && find_tag(bracketed) == "x", "the same tag");
    hold(address->uri.params == uri->params && address->uri.user == uri->user, "same parts");
  }
  if (const auto address = parse_name_addr(text)) {
    hold(inside(address->uri.text, text) && inside(address->params, text), "parts");
    hold(inside(address->display_name, text), "display name");
    hold(find_tag(text) == address->tag().value_or(std::string_view{}), "two readers of a tag");
    // An address that is one value stays one value in a list.
    if (!address->is_star && address->has_angles) {
      ListCursor list(text);
      const auto only = list.next();
      hold(only && *only == address->text && !list.next() && !list.bad(), "one element");
    }
  }
  ListCursor list(text);
  while (const auto element = list.next()) hold(inside(*element, text), "elements");
}

void check_via(Bytes input) {
  const std::string_view text = as_text(input);
  if (const auto via = parse_via(text)) {
    for (const std::string_view part : {via->transport, via->host, via->sent_by, via->params,
                                        via->branch, via->received, via->maddr}) {
      hold(inside(part, text), "parts of a Via");
    }
    hold(!via->host.empty() && !via->transport.empty(), "sent-by and transport");
    const auto branch = find_param(via->params, "branch");
    hold(via->branch == (branch ? branch->value : std::string_view{}), "one reading of branch");
    const auto again = parse_via(via->text);
    hold(again && again->sent_by == via->sent_by && again->branch == via->branch, "the same");
  }
  if (const auto cseq = parse_cseq(text)) hold(cseq->number <= kCSeqMax, "CSeq limit");
  if (const auto hops = parse_max_forwards(text)) hold(*hops <= kMaxForwardsMax, "hops limit");
  parse_seconds(text);
  constexpr HashKey kKey{1, 2};
  if (const auto branch = parse_branch(text, kKey)) {
    std::array<std::uint8_t, 64> memory;
    Writer out(memory);
    write_branch(*branch, kKey, out);
    hold(out.written_text() == text, "one spelling of a branch");
  }
  ParamCursor params(text);
  while (const auto param = params.next()) hold(inside(param->text, text), "parameters");
}

void check_forward(Bytes input) {
  static MessageView before;
  static MessageView after;
  static std::array<std::uint8_t, 2 * kMessageBytesMax> memory;
  if (!parse_message(input, Framing::Datagram, before) || !before.is_request()) return;
  Essentials essentials;
  if (!validate_request(before, essentials).ok()) return;

  EditList edits;
  edits.insert(before.find(HeaderName::Via)->begin,
               "Via: SIP/2.0/UDP edge.example.org;branch=z9hG4bK-r1;rport\r\n");
  edits.insert(before.headers_begin(), "Record-Route: <sip:token@edge.example.org;lr>\r\n");
  const Header* const hops = before.find(HeaderName::MaxForwards);
  if (hops) {
    edits.replace(hops->value, "69");
  } else {
    edits.insert(before.headers_end(), "Max-Forwards: 70\r\n");
  }
  const Header* const route = before.find(HeaderName::Route);
  if (route) edits.remove(*route);
  Writer out(memory);
  hold(edits.write(before, out), "the edits do not overlap");

  const auto result = parse_message(out.written(), Framing::Datagram, after);
  if (!result) {
    hold(out.size() > kMessageBytesMax, "an edited message parses");
    return;
  }
  const std::size_t expected = before.headers().size() + 2 + (hops ? 0 : 1) - (route ? 1 : 0);
  if (expected > kHeaderCountMax || after.defect() == Defect::HeadTooLarge) return;
  hold(after.defect() == Defect::None, "an edit makes no defect");
  hold(after.headers().size() == expected, "the header lines that were asked for");
  hold(after.body() == before.body(), "the body is untouched");
  hold(after.request_uri() == before.request_uri(), "Request-URI untouched");
  hold(after.value(HeaderName::CallId) == essentials.call_id, "Call-ID untouched");
  hold(after.top_via().starts_with("SIP/2.0/UDP edge.example.org"), "our Via on top");
  const Header* const theirs = after.next(after.find(HeaderName::Via));
  hold(theirs && after.text(theirs->value) == before.value(HeaderName::Via), "then theirs");
  const Verdict verdict = validate_request(after);
  hold(verdict.ok() || verdict.status == 513, "what we forward is valid");
}

}  // namespace ringway::fuzz
