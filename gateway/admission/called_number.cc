#include "gateway/admission/called_number.h"

#include "protocol/base/ascii.h"
#include "protocol/base/percent.h"

namespace ringway {
namespace {

bool is_separator(char c) {
  return c == '-' || c == '.' || c == '(' || c == ')' || c == ' ';
}

}  // namespace

CalledNumber::CalledNumber(std::string_view user) {
  read(user);
}

CalledNumber CalledNumber::with_context(std::string_view user) {
  constexpr std::string_view kName = "phone-context=";
  for (std::size_t at = user.find(';'); at != user.npos; at = user.find(';', at)) {
    const std::string_view parameter = user.substr(++at);
    if (ascii::starts_with_ignoring_case(parameter, kName)) {
      return with_context(user, parameter.substr(kName.size()));
    }
  }
  return {};
}

CalledNumber CalledNumber::with_context(std::string_view user, std::string_view context) {
  CalledNumber number;
  number.read(context);
  const CalledNumber local(user);
  const bool is_global = number.text().starts_with('+');
  if (!is_global || local.text().empty() || local.text().starts_with('+')) return {};
  number.read(user);
  return number;
}

CalledNumber CalledNumber::behind_plus(std::string_view user) {
  CalledNumber number;
  std::string_view rest;
  for (bool begins = true; !user.empty(); begins = false) {
    const char c = percent::take(user);
    if (c == ';' || c == ':') break;
    if (c == '+' && !begins) rest = user;
  }
  if (rest.empty()) return number;
  number.text_[number.size_++] = '+';
  number.read(rest);
  if (number.size_ == 1) number.size_ = 0;
  return number;
}

// Appends to what was read before.
void CalledNumber::read(std::string_view user) {
  bool begins = size_ == 0;
  while (!user.empty()) {
    const char c = percent::take(user);
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
