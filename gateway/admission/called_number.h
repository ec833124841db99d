#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ringway {

// The number that a user part or a tel: URI calls, as rules compare it: digits, '*' and '#', behind
// a '+' where it is international, "00" in front counting as '+'. Visual separators (RFC 3966
// 5.1.1) and parameters are left out, %HH is read. In an international number everything else that
// is no digit is left out, too. Whatever is no number is empty.
class CalledNumber {
 public:
  static constexpr std::size_t kDigitsMax = 32;  // what comes behind does not count

  explicit CalledNumber(std::string_view user);
  // The global number that a local one means whose phone-context is the front of one (RFC 3966
  // 5.1.5): "5551234;phone-context=+882" is +8825551234. Empty if it has no such context.
  static CalledNumber with_context(std::string_view user);
  static CalledNumber with_context(std::string_view user, std::string_view context);
  // The international number behind the last '+' that is not in front: "0+882123" is +882123, since
  // a PBX takes off what stands before it. Empty if there is none.
  static CalledNumber behind_plus(std::string_view user);
  std::string_view text() const { return {text_.data(), size_}; }

 private:
  CalledNumber() = default;
  void read(std::string_view user);

  std::array<char, kDigitsMax> text_{};
  std::size_t size_ = 0;
};

}  // namespace ringway
