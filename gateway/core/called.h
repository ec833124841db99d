#pragma once

#include <array>
#include <string_view>

#include "gateway/admission/called_number.h"
#include "protocol/sip/uri.h"

namespace ringway {

// What a URI may mean to the server that dials it: the number as it stands, with its phone-context,
// and what stands behind a '+' in its middle. The context belongs into the user part (RFC 3261
// 19.1.6); some write it behind the host. The number of a URI that is no sip: or sips: one is all
// behind its scheme (RFC 3966).
struct Called {
  explicit Called(const sip::Uri& uri)
      : numbers{CalledNumber(user_of(uri)), CalledNumber::with_context(user_of(uri)),
                CalledNumber::behind_plus(user_of(uri)),
                CalledNumber::with_context(uri.user, uri.param("phone-context").value_or(""))} {}

  std::array<CalledNumber, 4> numbers;  // the first may be empty, others count only if not

 private:
  static std::string_view user_of(const sip::Uri& uri) {
    if (uri.scheme == sip::Scheme::Sip || uri.scheme == sip::Scheme::Sips) return uri.user;
    const std::size_t colon = uri.text.find(':');
    return colon == uri.text.npos ? std::string_view{} : uri.text.substr(colon + 1);
  }
};

}  // namespace ringway
