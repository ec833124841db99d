#pragma once

#include <cstdint>

#include "gateway/admission/bucket_table.h"
#include "gateway/base/source_key.h"
#include "gateway/config/config.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/base/time.h"

namespace ringway {

// How much one shard does for whom, before it knows him and after: budgets of flows (a connection,
// or an address with its port), users (AOR) and sources. They are asked about new requests of the
// access side only, never about responses or what belongs to a dialog.
//
//              success                        no success: BudgetsConfig::attempts requests may
//   Stranger ----------> Proven               wait for an answer or have failed; a challenge is
//      |  ^                                   owed an answer
//      |  | time
//      v  |       attempts have failed
//   CutOff                                    no answer any more; failures are forgiven one by one
//
// An office behind one address is many flows, so a scanner among them spends his own budget. Tables
// have a fixed number of places, chosen by a keyed hash; where all are taken, the one longest
// unused goes, strangers first.
//
// Whoever is proven may still guess the passwords of others: of one user each source has so many
// tries, kGuessesOfUser, whatever else it has shown.
//
// Anybody may write another's address and name into a datagram. So sources and users have two
// budgets each: what datagrams spend is not missing for connections.
class Budgets {
 public:
  struct Asker {
    SourceKey source;
    std::uint64_t flow = 0;  // keyed hash of it; never 0
    std::uint64_t user = 0;  // keyed hash of whose credentials it shows; 0: none
    bool has_credentials = false;
    bool is_registered = false;  // as good as proven
    bool by_stream = true;       // else the sender's address may be another's
  };
  enum class Verdict : std::uint8_t {
    Pass,
    Wait,    // too much at once: 503, or silence where it comes again by itself
    CutOff,  // no answer, and a connection is closed
  };

  // settings and flows: of one shard; both outlive this object.
  Budgets(const BudgetsConfig& settings, const HashKey& key);

  // A new request.
  Verdict ask(const Asker& asker, Instant now);
  // One that passed waits for its answer.
  void began(const Asker& asker, Instant now);
  // What became of a request.
  enum class End : std::uint8_t {
    Success,    // 2xx to REGISTER, or a call that was answered
    Challenge,  // 401 or 407 to a request without credentials
    Failure,    // 401 or 407 to credentials, 403, 404
    Other,
  };
  void ended(const Asker& asker, End end, Instant now);  // one that had begun
  void refused(const Asker& asker, End end, Instant now);  // one that had not

  static constexpr std::size_t kPlaces = 65'536;  // of each table
  static constexpr Duration kForgivenEvery = 60s;  // one failure, or one challenge
  static constexpr Duration kProvenFor = 3600s;    // since its last success
  static constexpr std::uint32_t kGuessesOfUser = 20;  // before strangers may not try him any more
  // Credentials of which nobody can tell whose they are: of one user, whom no success forgives.
  static constexpr std::uint64_t kUnclearUser = 1;
  static constexpr std::uint32_t kKnownSourceFactor = 10;

 private:
  struct Place {  // 32 bytes; one kind for all three tables
    std::uint64_t key;
    Instant used, proven_until;  // used: also when failures were last forgiven
    std::uint32_t tokens;        // thousandths
    std::uint8_t waiting, owed, failures, unused;
  };
  using Table = BucketTable<Place, kPlaces, 8>;

  static Place& place_of(Table& table, std::uint64_t key, Instant now);
  Place& source_of(const Asker& asker, bool by_stream, Instant now);
  Place& user_of(const Asker& asker, Instant now);
  Place& guesses_of(const Asker& asker, Instant now);
  static void forgive(Place& place, Instant now);

  const BudgetsConfig& settings_;
  HashKey key_;
  Table flows_, sources_, users_;
};

}  // namespace ringway
