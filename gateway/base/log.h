#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "gateway/base/counters.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/spsc_queue.h"
#include "protocol/base/time.h"

namespace ringway {

enum class LogLevel : std::uint8_t { Debug, Info, Warning, Error };
std::string_view to_text(LogLevel level);  // as in the config: "debug"

// One named value of an event. Keys are literals in snake case; text is copied when the event is
// written, cut at 256 bytes. Never pass credentials, tokens or bodies.
struct LogField {
  LogField(std::string_view field_key, std::string_view value) : key(field_key), text(value) {}
  LogField(std::string_view field_key, const char* value) : key(field_key), text(value) {}
  template <typename Integer>
  requires std::is_integral_v<Integer> LogField(std::string_view field_key, Integer value)
      : key(field_key), number(static_cast<std::int64_t>(value)), is_number(true) {}

  std::string_view key;
  std::string_view text;
  std::int64_t number = 0;
  bool is_number = false;
};

// An event as it travels to the control thread, which writes it as a JSON line or as text.
struct LogRecord {
  static constexpr std::size_t kFieldsMax = 24;
  static constexpr std::size_t kTextMax = 1'400;

  struct Field {
    std::string_view key;  // a literal
    std::int64_t number;
    std::uint16_t text_offset, text_size;
    bool is_number;
  };

  Instant time;
  std::string_view event;  // a literal
  LogLevel level = LogLevel::Info;
  ShardIndex shard = 0;
  std::uint8_t field_count = 0;
  std::uint16_t text_size = 0;  // text_size <= kTextMax
  std::array<Field, kFieldsMax> fields;
  std::array<char, kTextMax> text;

  std::string_view text_of(const Field& field) const {
    return {text.data() + field.text_offset, field.text_size};
  }
};

// The events of one shard. Writing never waits: a full queue or a flood of one event drops
// records and counts them in log_dropped.
class Log {
 public:
  using Queue = SpscQueue<LogRecord>;
  // queue and counters outlive the log. level: the lowest that is written.
  Log(ShardIndex shard, LogLevel level, Queue& queue, Counters& counters)
      : shard_(shard), level_(level), queue_(queue), counters_(counters) {}

  // Called once a turn, so that an event needs no clock.
  void set_time(Instant now) { now_ = now; }
  bool writes(LogLevel level) const { return level >= level_; }
  void set_level(LogLevel level) { level_ = level; }

  // event: a literal in snake case that never changes its meaning. At most 24 fields.
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);

  void debug(std::string_view event, std::initializer_list<LogField> fields) {
    if (writes(LogLevel::Debug)) write(LogLevel::Debug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<LogField> fields) {
    if (writes(LogLevel::Info)) write(LogLevel::Info, event, fields);
  }
  // An event of which each one stands for something that happened once, and is counted on: no
  // allowance limits it, only the queue, and no level hides it.
  void account(std::string_view event, std::initializer_list<LogField> fields);

  void warning(std::string_view event, std::initializer_list<LogField> fields) {
    write(LogLevel::Warning, event, fields);
  }
  void error(std::string_view event, std::initializer_list<LogField> fields) {
    write(LogLevel::Error, event, fields);
  }

 private:
  bool take_allowance(std::string_view event);
  void put(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);

  // Allowances of events by their literal's address: so many a second, so that one noisy event
  // does not push out the others.
  struct Allowance {
    const char* event = nullptr;
    Instant window{};
    std::uint32_t left = 0;
  };
  static constexpr std::uint32_t kEventsASecond = 200;

  ShardIndex shard_;
  LogLevel level_;
  Queue& queue_;
  Counters& counters_;
  Instant now_{};
  std::array<Allowance, 64> allowances_{};
};

}  // namespace ringway
