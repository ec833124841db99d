#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/transport.h"
#include "gateway/config/config.h"
#include "protocol/sip/edit.h"
#include "protocol/sip/message.h"

namespace ringway {

// Which header fields pass this border. Names are compared as a parser reads them: in any case,
// with white space before the colon, in long or compact form, every copy.
//
// From the access side, P-Asserted-Identity and its relatives (RFC 3325 5, RFC 6050 4, RFC 5502)
// and Path go by default, since they are the network side's to write. P-Preferred-Identity stays.
// Towards the access side P-Asserted-Identity goes where Privacy lists id (RFC 3325 7). [[header]]
// adds to both. Identity (RFC 8224) passes untouched to the byte.
class HeaderRules {
 public:
  explicit HeaderRules(const Config& config);

  // Adds to edits what has to go from a message, and what the configuration adds to a request.
  // The text of additions lives as long as the object.
  void apply(const sip::MessageView& message, Side from, Side to, sip::EditList& edits) const;

 private:
  struct Name {
    sip::HeaderName known = sip::HeaderName::Other;
    std::string text;  // lower case; for Other
  };
  struct Rules {
    std::vector<Name> remove;
    std::string add;            // whole lines
    std::uint64_t lengths = 0;  // bit n: a name of Other with n bytes is among them, n <= 63
    std::uint64_t known = 0;    // bit n: HeaderName n is
  };
  static Name name_of(std::string_view text);
  static bool removes(const Rules& rules, const sip::MessageView& message,
                      const sip::Header& header);
  static void remove_name(Rules& rules, std::string_view text);

  Rules from_access_, from_network_;
};

}  // namespace ringway
