#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "protocol/base/bytes.h"

// The fixed work that micro benchmarks time and instruction counts count: each does one piece of
// the data path on the same bytes every time.

namespace ringway::bench {

class Workload {
 public:
  virtual ~Workload() = default;
  // The name in results and in the baseline; never changes its meaning.
  virtual std::string_view name() const = 0;
  // One unit. Exits with a word if the result is not what it must be.
  virtual void once() = 0;
  // Bytes that one unit reads, for a rate; 0 if that says nothing.
  virtual std::size_t bytes() const { return 0; }
  // The same instructions every time: fit for a baseline.
  virtual bool is_repeatable() const { return true; }
};

using Workloads = std::vector<std::unique_ptr<Workload>>;

Workloads make_workloads();

// One file each.
void add_parse(Workloads& workloads);
void add_edit(Workloads& workloads);
void add_websocket(Workloads& workloads);
void add_transaction(Workloads& workloads);
void add_timers(Workloads& workloads);
void add_bencode(Workloads& workloads);
void add_tls(Workloads& workloads);
void add_filter(Workloads& workloads);
void add_core(Workloads& workloads);
void add_admission(Workloads& workloads);

// Keeps value alive in the eyes of the optimiser.
template <typename T>
inline void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

// Ends the program: a benchmark of wrong work is worth nothing.
void require(bool condition, std::string_view what);

// An INVITE as a browser's user agent sends it, of about 800 bytes, and the answer to it.
std::string_view invite();
std::string_view ok_response();

}  // namespace ringway::bench
