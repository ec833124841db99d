#include "gateway/filter/header_scan.h"

#include <algorithm>
#include <cstring>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

using Name = HeaderScan::Name;

struct Known {
  std::string_view full, compact;
  Name name;
};
constexpr std::array<Known, HeaderScan::kNames> kKnown{{
    {"user-agent", {}, Name::UserAgent},
    {"server", {}, Name::Server},
    {"from", "f", Name::From},
    {"to", "t", Name::To},
    {"contact", "m", Name::Contact},
    {"via", "v", Name::Via},
}};

// By the lower five bits of a line's first letter: places in kKnown, -1 for none. A letter begins
// at most two names.
constexpr std::array<std::array<std::int8_t, 2>, 32> kByLetter = [] {
  std::array<std::array<std::int8_t, 2>, 32> table{};
  for (auto& places : table) places = {-1, -1};
  const auto add = [&](char letter, std::size_t place) {
    auto& places = table[static_cast<std::size_t>(letter) & 31];
    if (places[0] == static_cast<std::int8_t>(place)) return;
    places[places[0] < 0 ? 0 : 1] = static_cast<std::int8_t>(place);
  };
  for (std::size_t i = 0; i < kKnown.size(); ++i) {
    add(kKnown[i].full[0], i);
    if (!kKnown[i].compact.empty()) add(kKnown[i].compact[0], i);
  }
  return table;
}();

// The value of a line that begins with name, white space and a colon.
std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || !ascii::starts_with_ignoring_case(line, name)) {
    return std::nullopt;
  }
  std::size_t at = name.size();
  while (at < line.size() && ascii::is_space(line[at])) ++at;
  if (at == line.size() || line[at] != ':') return std::nullopt;
  return ascii::trim(line.substr(at + 1));
}

// False for nearly every line that value_of() finds no value in: most lines end here.
bool may_be(std::string_view line, std::string_view name) {
  if (line.size() <= name.size()) return false;
  const char next = line[name.size()];
  return next == ':' || ascii::is_space(next);
}

}  // namespace

HeaderScan::HeaderScan(std::string_view text, Names wanted)
    : at_(text.data()), end_(text.data() + text.size()), wanted_(wanted) {
  start_line_ = take_line();
}

std::string_view HeaderScan::take_line() {
  const char* const begin = at_;
  if (begin == end_) return {};
  const void* const found = std::memchr(begin, '\n', static_cast<std::size_t>(end_ - begin));
  const char* end = found ? static_cast<const char*>(found) : end_;
  at_ = found ? end + 1 : end_;
  if (end != begin && end[-1] == '\r') --end;
  return {begin, static_cast<std::size_t>(end - begin)};
}

bool HeaderScan::begins_fold() const {
  return at_ != end_ && ascii::is_space(*at_);
}

std::optional<HeaderScan::Header> HeaderScan::next() {
  while (at_ != end_) {
    const std::string_view line = take_line();
    if (line.empty()) {
      at_ = end_;
      return std::nullopt;
    }
    for (const std::int8_t place : kByLetter[static_cast<std::size_t>(line[0]) & 31]) {
      if (place < 0) break;
      const Known& known = kKnown[static_cast<std::size_t>(place)];
      if ((wanted_ & only(known.name)) == 0) continue;
      std::optional<std::string_view> value;
      if (may_be(line, known.full)) value = value_of(line, known.full);
      if (!value && !known.compact.empty() && may_be(line, known.compact)) {
        value = value_of(line, known.compact);
      }
      if (!value) continue;
      if (begins_fold()) value = unfold(*value);
      return Header{known.name, value->substr(0, kValueMax)};
    }
  }
  return std::nullopt;
}

// Lines of a folded value with one space between them.
std::string_view HeaderScan::unfold(std::string_view first) {
  std::size_t size = 0;
  const auto append = [&](std::string_view part) {
    part = part.substr(0, unfolded_.size() - size);
    std::copy(part.begin(), part.end(), unfolded_.begin() + static_cast<std::ptrdiff_t>(size));
    size += part.size();
  };
  append(first);
  while (begins_fold()) {
    const std::string_view more = ascii::trim(take_line());
    if (more.empty()) continue;
    if (size != 0) append(" ");
    append(more);
  }
  return {unfolded_.data(), size};
}

NameAddress split_name_address(std::string_view value) {
  NameAddress result;
  std::size_t open = 0;
  if (value.starts_with('"')) {
    // A backslash quotes the next character (RFC 3261 25.1, quoted-pair).
    std::size_t close = 1;
    while (close < value.size() && value[close] != '"') close += value[close] == '\\' ? 2 : 1;
    if (close >= value.size()) return {value.substr(1), {}};
    result.name = value.substr(1, close - 1);
    open = value.find('<', close);
  } else {
    open = value.find('<');
    if (open != value.npos) result.name = ascii::trim(value.substr(0, open));
  }
  if (open == value.npos) {
    result.uri = ascii::trim(value.substr(0, value.find(';')));
    return result;
  }
  result.uri = value.substr(open + 1);
  result.uri = ascii::trim(result.uri.substr(0, result.uri.find('>')));
  return result;
}

std::string_view without_escapes(std::string_view value, char escape, std::span<char> memory) {
  std::size_t size = 0;
  while (!value.empty() && size < memory.size()) {
    char c = value.front();
    std::size_t taken = 1;
    if (c == escape && escape == '%') {
      const auto byte =
          value.size() >= 3 ? ascii::parse_hex(value.substr(1, 2)) : std::optional<std::uint64_t>();
      if (byte) {
        c = static_cast<char>(*byte);
        taken = 3;
      }
    } else if (c == escape && value.size() > 1) {
      c = value[1];
      taken = 2;
    }
    memory[size++] = c;
    value.remove_prefix(taken);
  }
  return {memory.data(), size};
}

std::string_view uri_without_port(std::string_view uri) {
  uri = uri.substr(0, uri.find_first_of(";?"));
  const std::size_t at = uri.find('@');
  const std::size_t host = at != uri.npos ? at + 1 : uri.find(':') + 1;
  const std::size_t bracket = uri.find(']', host);
  const std::size_t colon = uri.find(':', bracket != uri.npos ? bracket : host);
  return uri.substr(0, colon);
}

std::string_view via_host(std::string_view value) {
  const std::size_t slash = value.find('/', value.find('/') + 1);
  if (slash == value.npos) return {};
  value = ascii::trim(value.substr(slash + 1));
  const std::size_t space = value.find_first_of(" \t");
  if (space == value.npos) return {};
  value = ascii::trim(value.substr(space));
  value = value.substr(0, value.find_first_of("; \t,"));
  const std::size_t bracket = value.find(']');
  return value.substr(0, value.find(':', bracket != value.npos ? bracket : 0));
}

}  // namespace ringway
