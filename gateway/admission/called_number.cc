#include "gateway/admission/called_number.h"

#include <optional>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

std::optional<unsigned> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') return static_cast<unsigned>(lower - 'a') + 10;
  return std::nullopt;
}

// The next character, an escaped one read (RFC 3261 19.1.2); takes it off text.
char take(std::string_view& text) {
  const char first = text.front();
  if (first == '%' && text.size() >= 3) {
    const auto high = hex_value(text[1]), low = hex_value(text[2]);
    if (high && low) {
      text.remove_prefix(3);
      return static_cast<char>(*high * 16 + *low);
    }
  }
  text.remove_prefix(1);
  return first;
}

bool is_separator(char c) {
  return c == '-' || c == '.' || c == '(' || c == ')' || c == ' ';
}

}  // namespace

CalledNumber::CalledNumber(std::string_view user) {
  read(user);
}

CalledNumber CalledNumber::with_context(std::string_view user) {
  constexpr std::string_view kName = "phone-context=";
  CalledNumber number;
  for (std::size_t at = user.find(';'); at != user.npos; at = user.find(';', at)) {
    const std::string_view parameter = user.substr(++at);
    if (!ascii::starts_with_ignoring_case(parameter, kName)) continue;
    number.read(parameter.substr(kName.size()));
    const CalledNumber local(user);
    if (number.text().starts_with('+') && !local.text().empty() && user.front() != '+') {
      number.read(user);
    } else {
      number.size_ = 0;
    }
    return number;
  }
  return number;
}

// Appends to what was read before.
void CalledNumber::read(std::string_view user) {
  bool begins = size_ == 0;
  while (!user.empty()) {
    const char c = take(user);
    if (c == ';' || c == ':') break;  // parameters, or a password
    if (is_separator(c)) continue;
    const bool is_digit = (c >= '0' && c <= '9') || c == '*' || c == '#';
    if (!is_digit && !(c == '+' && begins)) {
      if (size_ != 0 && text_[0] == '+') continue;  // a PBX that dials the digits leaves it out too
      size_ = 0;
      return;
    }
    begins = false;
    if (size_ < text_.size()) text_[size_++] = c;
    const std::string_view front = text();
    if (front == "00" || front == "+00") {
      text_[0] = '+';
      size_ = 1;
    }
  }
}

}  // namespace ringway
