#include "bench/load/sip_text.h"

#include "protocol/base/ascii.h"

namespace ringway::load {
namespace {

constexpr std::size_t kHeadSizeMax = 65535;

// Splits off the text before the next CRLF (or LF) at position, which moves past it.
std::string_view take_line(std::string_view text, std::size_t& position) {
  const std::size_t end = text.find('\n', position);
  if (end == text.npos) {
    const std::string_view rest = text.substr(position);
    position = text.size();
    return rest;
  }
  std::string_view line = text.substr(position, end - position);
  position = end + 1;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

bool read_start_line(std::string_view line, Message& message) {
  if (line.starts_with("SIP/2.0 ") && line.size() >= 11) {
    const auto status = ascii::parse_number(line.substr(8, 3), 699);
    if (!status || *status < 100) return false;
    message.is_request = false;
    message.status = static_cast<int>(*status);
    return true;
  }
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == line.npos || first == last || line.substr(last + 1) != "SIP/2.0") return false;
  message.is_request = true;
  message.method = line.substr(0, first);
  message.request_uri = line.substr(first + 1, last - first - 1);
  return true;
}

}  // namespace

bool is_header(const Header& header, std::string_view name, char compact) {
  if (header.name.size() == 1) {
    return compact != 0 && ascii::to_lower(header.name[0]) == compact;
  }
  return ascii::equal_ignoring_case(header.name, name);
}

std::string_view Message::find(std::string_view name, char compact) const {
  for (const Header& header : headers) {
    if (is_header(header, name, compact)) return header.value;
  }
  return {};
}

bool read_message(std::string_view text, Message& message) {
  message.headers.clear();
  message.body = {};
  std::size_t position = 0;
  if (!read_start_line(take_line(text, position), message)) return false;
  while (position < text.size()) {
    const std::string_view line = take_line(text, position);
    if (line.empty()) {
      message.body = text.substr(position);
      return true;
    }
    const std::size_t colon = line.find(':');
    if (colon == line.npos) return false;
    message.headers.push_back(
        {ascii::trim(line.substr(0, colon)), ascii::trim(line.substr(colon + 1))});
  }
  return false;
}

std::size_t framed_size(std::string_view stream) {
  const std::size_t end = stream.find("\r\n\r\n");
  if (end == stream.npos) return stream.size() > kHeadSizeMax ? stream.npos : 0;
  std::size_t position = 0;
  while (position < end) {
    const std::string_view line = take_line(stream, position);
    const std::size_t colon = line.find(':');
    if (colon == line.npos) continue;
    const Header header{ascii::trim(line.substr(0, colon)), ascii::trim(line.substr(colon + 1))};
    if (!is_header(header, "Content-Length", 'l')) continue;
    const auto length = ascii::parse_number(header.value, kHeadSizeMax);
    if (!length) return stream.npos;
    const std::size_t whole = end + 4 + *length;
    return whole <= stream.size() ? whole : 0;
  }
  return stream.npos;
}

std::string_view header_parameter(std::string_view value, std::string_view name) {
  std::size_t position = value.find('>');
  position = value.find(';', position == value.npos ? 0 : position);
  while (position != value.npos) {
    const std::size_t next = value.find(';', position + 1);
    const std::string_view pair =
        value.substr(position + 1, next == value.npos ? next : next - position - 1);
    const std::size_t equals = pair.find('=');
    if (ascii::equal_ignoring_case(ascii::trim(pair.substr(0, equals)), name)) {
      return equals == pair.npos ? std::string_view() : ascii::trim(pair.substr(equals + 1));
    }
    position = next;
  }
  return {};
}

std::string_view address_uri(std::string_view value) {
  const std::size_t open = value.find('<');
  if (open == value.npos) return ascii::trim(value.substr(0, value.find(';')));
  return value.substr(open + 1, value.find('>', open) - open - 1);
}

HostPort uri_host_port(std::string_view uri) {
  const std::size_t colon = uri.find(':');
  if (colon == uri.npos) return {};
  std::string_view rest = uri.substr(colon + 1);
  rest = rest.substr(0, rest.find_first_of(";?"));
  if (const std::size_t at = rest.rfind('@'); at != rest.npos) rest.remove_prefix(at + 1);
  HostPort result;
  std::size_t end = 0;
  if (rest.starts_with('[')) {
    end = rest.find(']');
    if (end == rest.npos) return {};
    result.host = rest.substr(1, end - 1);
    ++end;
  } else {
    end = std::min(rest.find(':'), rest.size());
    result.host = rest.substr(0, end);
  }
  if (end < rest.size() && rest[end] == ':') {
    const auto port = ascii::parse_number(rest.substr(end + 1), 65535);
    if (port) result.port = static_cast<std::uint16_t>(*port);
  }
  return result;
}

void write_response(const Message& request, const ResponseParts& parts, std::string& out) {
  out.append("SIP/2.0 ").append(std::to_string(parts.status)).append(" ");
  out.append(parts.reason).append("\r\n");
  bool top_via = true;
  for (const Header& header : request.headers) {
    if (is_header(header, "Via", 'v')) {
      out.append("Via: ");
      const std::size_t comma = header.value.find(',');
      const std::string_view first = header.value.substr(0, comma);
      const std::size_t rport = top_via ? first.find(";rport") : first.npos;
      const bool empty_rport =
          rport != first.npos && (rport + 6 == first.size() || first[rport + 6] == ';');
      if (empty_rport) {
        out.append(header.value.substr(0, rport + 6)).append("=");
        out.append(std::to_string(parts.source_port)).append(";received=");
        out.append(parts.source_address).append(header.value.substr(rport + 6));
      } else {
        out.append(header.value);
      }
      out.append("\r\n");
      top_via = false;
    } else if (is_header(header, "To", 't')) {
      out.append("To: ").append(header.value);
      if (parts.status > 100 && header_parameter(header.value, "tag").empty()) {
        out.append(";tag=").append(parts.to_tag);
      }
      out.append("\r\n");
    } else if (is_header(header, "From", 'f') || is_header(header, "Call-ID", 'i') ||
               is_header(header, "CSeq", 0) || is_header(header, "Record-Route", 0) ||
               (is_header(header, "Path", 0) && parts.status == 200)) {
      out.append(header.name).append(": ").append(header.value).append("\r\n");
    }
  }
  if (!parts.contact.empty()) out.append("Contact: ").append(parts.contact).append("\r\n");
  if (!parts.body.empty()) out.append("Content-Type: application/sdp\r\n");
  out.append("Content-Length: ").append(std::to_string(parts.body.size())).append("\r\n\r\n");
  out.append(parts.body);
}

std::string make_sdp(std::string_view address) {
  std::string sdp = "v=0\r\no=- 3890844526 3890844527 IN IP4 ";
  sdp.append(address).append("\r\ns=-\r\nc=IN IP4 ").append(address);
  sdp.append(
      "\r\nt=0 0\r\nm=audio 49170 RTP/AVP 8 0 9 101\r\na=rtpmap:8 PCMA/8000\r\n"
      "a=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
      "a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n");
  return sdp;
}

}  // namespace ringway::load
