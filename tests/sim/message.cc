#include "tests/sim/message.h"

#include <charconv>
#include <utility>

#include "gateway/base/check.h"

namespace ringway::sim {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<unsigned> number_of(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// RFC 3261 7.3.3, and fields that came later.
std::string_view full_name(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"v", "Via"},
      {"f", "From"},
      {"t", "To"},
      {"i", "Call-ID"},
      {"l", "Content-Length"},
      {"m", "Contact"},
      {"k", "Supported"},
      {"c", "Content-Type"},
      {"e", "Content-Encoding"},
      {"s", "Subject"},
      {"o", "Event"},
      {"u", "Allow-Events"},
      {"r", "Refer-To"},
      {"b", "Referred-By"},
      {"x", "Session-Expires"},
      {"j", "Reject-Contact"},
      {"a", "Accept-Contact"},
      {"d", "Request-Disposition"}};
  for (const auto& [compact, full] : kNames) {
    if (name == compact) return full;
  }
  return name;
}

// Cuts at commas that stand outside quotes and angle brackets.
void split_list(std::string_view text, std::vector<std::string>& out) {
  bool quoted = false, angled = false;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && !quoted && !angled)) {
      out.emplace_back(trimmed(text.substr(start, i - start)));
      start = i + 1;
    } else if (text[i] == '"' && !angled) {
      quoted = !quoted;
    } else if (text[i] == '<' && !quoted) {
      angled = true;
    } else if (text[i] == '>' && !quoted) {
      angled = false;
    }
  }
}

}  // namespace

Message Message::request(std::string_view method, std::string_view uri) {
  Message message;
  message.method = method;
  message.uri = uri;
  return message;
}

Message Message::response(const Message& request, int status, std::string_view reason) {
  Message message;
  message.status = status;
  message.reason = reason;
  for (const auto& [name, value] : request.headers) {
    if (name == "Via" || name == "From" || name == "To" || name == "Call-ID" || name == "CSeq") {
      message.add(name, value);
    }
  }
  return message;
}

std::optional<Message> Message::parse(std::string_view text) {
  Message message;
  const std::size_t end = text.find("\r\n\r\n");
  if (end == text.npos) return std::nullopt;
  std::string_view head = text.substr(0, end + 2);
  message.body = text.substr(end + 4);
  bool first = true;
  while (!head.empty()) {
    const std::size_t line_end = head.find("\r\n");
    const std::string_view line = head.substr(0, line_end);
    head.remove_prefix(line_end + 2);
    if (first) {
      first = false;
      const std::size_t one = line.find(' ');
      const std::size_t two = one == line.npos ? one : line.find(' ', one + 1);
      if (two == line.npos) return std::nullopt;
      if (line.starts_with("SIP/2.0 ")) {
        const auto status = number_of(line.substr(one + 1, two - one - 1));
        if (!status || *status < 100 || *status > 699) return std::nullopt;
        message.status = static_cast<int>(*status);
        message.reason = line.substr(two + 1);
      } else {
        if (line.substr(two + 1) != "SIP/2.0") return std::nullopt;
        message.method = line.substr(0, one);
        message.uri = line.substr(one + 1, two - one - 1);
      }
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == line.npos) return std::nullopt;
    message.add(full_name(trimmed(line.substr(0, colon))), trimmed(line.substr(colon + 1)));
  }
  const auto length = number_of(message.header("Content-Length"));
  if (!length || *length != message.body.size()) return std::nullopt;
  message.remove("Content-Length");
  for (const std::string_view name : {"Via", "From", "To", "Call-ID", "CSeq"}) {
    if (!message.has(name)) return std::nullopt;
  }
  return message;
}

std::string_view Message::header(std::string_view name) const {
  for (const auto& [have, value] : headers) {
    if (have == name) return value;
  }
  return {};
}

bool Message::has(std::string_view name) const {
  for (const auto& header : headers) {
    if (header.first == name) return true;
  }
  return false;
}

std::vector<std::string> Message::values(std::string_view name) const {
  std::vector<std::string> result;
  for (const auto& [have, value] : headers) {
    if (have == name) split_list(value, result);
  }
  return result;
}

void Message::set(std::string_view name, std::string_view value) {
  for (auto& header : headers) {
    if (header.first == name) {
      header.second = value;
      return;
    }
  }
  add(name, value);
}

void Message::remove(std::string_view name) {
  std::erase_if(headers, [&](const auto& header) { return header.first == name; });
}

void Message::remove_first_value(std::string_view name) {
  std::vector<std::string> left = values(name);
  remove(name);
  // Via and Route come back as one line for each value, in front.
  for (std::size_t i = left.size(); i > 1; --i) add_front(name, left[i - 1]);
}

std::string Message::text() const {
  std::string out = is_request() ? method + " " + uri + " SIP/2.0\r\n"
                                 : "SIP/2.0 " + std::to_string(status) + " " + reason + "\r\n";
  for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
  return out + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string Message::summary() const {
  return is_request() ? method + " " + uri : std::to_string(status) + " " + cseq_method();
}

std::string Message::branch() const {
  const auto vias = values("Via");
  return vias.empty() ? std::string{} : parameter(vias.front(), "branch");
}

std::string Message::cseq_method() const {
  const std::string_view value = header("CSeq");
  const std::size_t space = value.rfind(' ');
  return std::string(space == value.npos ? value : value.substr(space + 1));
}

unsigned Message::cseq() const {
  const std::string_view value = header("CSeq");
  return number_of(value.substr(0, value.find(' '))).value_or(0);
}

std::string uri_of(std::string_view value) {
  const std::size_t open = value.find('<');
  if (open == value.npos) return std::string(value.substr(0, value.find(';')));
  return std::string(value.substr(open + 1, value.find('>', open) - open - 1));
}

namespace {

std::optional<std::string> find_parameter(std::string_view value, std::string_view name) {
  const std::size_t close = value.rfind('>');
  std::string_view rest = close == value.npos ? value : value.substr(close);
  std::size_t at = rest.find(';');
  while (at != rest.npos) {
    rest.remove_prefix(at + 1);
    at = rest.find(';');
    const std::string_view one = trimmed(rest.substr(0, at));
    const std::size_t equals = one.find('=');
    if (one.substr(0, equals) != name) continue;
    return std::string(equals == one.npos ? std::string_view{} : one.substr(equals + 1));
  }
  return std::nullopt;
}

}  // namespace

std::string parameter(std::string_view value, std::string_view name) {
  return find_parameter(value, name).value_or("");
}

bool has_parameter(std::string_view value, std::string_view name) {
  return find_parameter(value, name).has_value();
}

std::string user_of(std::string_view uri) {
  const std::size_t colon = uri.find(':'), at = uri.find('@');
  if (at == uri.npos || colon > at) return {};
  return std::string(uri.substr(colon + 1, at - colon - 1));
}

std::string host_port_of(std::string_view uri) {
  const std::size_t at = uri.find('@');
  std::string_view rest = uri.substr((at == uri.npos ? uri.find(':') : at) + 1);
  return std::string(rest.substr(0, rest.find_first_of(";?")));
}

std::optional<Endpoint> endpoint_of(std::string_view uri) {
  const std::string text = host_port_of(uri);
  if (const auto whole = parse_endpoint(text)) return whole;
  if (const auto address = parse_address(text)) return Endpoint{*address, 5060};
  return std::nullopt;
}

std::string to_string(const Endpoint& endpoint) {
  std::uint8_t memory[kEndpointTextMax];
  Writer out(memory);
  write_endpoint(endpoint, out);
  return std::string(out.written_text());
}

Endpoint endpoint(std::string_view text) {
  const auto parsed = parse_endpoint(text);
  CHECK(parsed);
  return *parsed;
}

}  // namespace ringway::sim
