#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/base/keyed_hash.h"

namespace ringway::transaction {

// What identifies a server transaction, as views into one request. The fields after method count
// only where the branch lacks the magic cookie.
struct RequestIdentity {
  std::string_view branch;   // of the top Via; empty if it has none
  std::string_view sent_by;  // of the top Via: host and, if written, port
  std::string_view method;   // for the INVITE that a CANCEL is about: "INVITE"

  std::string_view call_id;
  std::string_view from_tag;
  std::string_view top_via;  // the whole value
  std::string_view request_uri;
  std::uint32_t cseq = 0;
};

// A server transaction's name: 128 bits of a keyed hash, so that tables compare names without
// keeping the texts. Without the key nobody can make two requests share one.
struct TransactionKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  bool operator==(const TransactionKey&) const = default;
};

// True if the branch begins with the magic cookie of RFC 3261 8.1.1.7.
bool has_magic_cookie(std::string_view branch);

// Matches requests to server transactions (RFC 3261 17.2.3): by branch, sent-by and method, where
// ACK counts as INVITE; without the magic cookie by the rules for RFC 2543 clients. Those compare
// the To tag too, but an ACK carries the one of the response, so it is left out here.
// Cost: two keyed hashes over about a hundred bytes.
TransactionKey transaction_key(const HashKey& key, const RequestIdentity& request);

}  // namespace ringway::transaction
