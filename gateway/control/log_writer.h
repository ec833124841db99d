#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/base/log.h"

namespace ringway {

// Writes the shards' events, and the control thread's own, to standard error: one JSON object a
// line, or readable text where a person looks on. Everything from the wire is escaped.
//
// Lines are made by the caller and written by a thread of their own: a pipe that nobody reads stops
// that thread and nobody else. At most kLinesMax lines and kBytesMax bytes wait; what comes then is
// dropped and counted, like what cannot be written, and an event log_lines_dropped says how many
// once lines can be written again.
class LogWriter {
 public:
  static constexpr std::size_t kLinesMax = 8'192;
  static constexpr std::size_t kBytesMax = 4u << 20;

  enum class Format : std::uint8_t { Json, Text };

  // word: auto, json or text, as in the config; auto is text on a terminal.
  static Format format_of(std::string_view word);

  LogWriter(Format format, LogLevel level);
  // Waits for the last lines, but at most a second: without a reader they are lost.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // All of these never wait. One thread calls them.
  void write(const LogRecord& record);
  // An event of the control thread.
  void event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);
  // The same with a value that is JSON already (for lists).
  void event_with_json(LogLevel level, std::string_view event, std::string_view key,
                       const std::string& json, const std::string& text);
  void set_level(LogLevel level) { level_ = level; }
  LogLevel level() const { return level_; }

  // Lines that found no place, or could not be written (a full disk), since the start.
  std::uint64_t dropped() const;

 private:
  struct Lines;  // what waits, shared with the thread that writes

  void put(std::string line);
  bool push(std::string line);
  bool can_write() const;

  Format format_;
  LogLevel level_;
  std::uint64_t dropped_ = 0;  // found no place
  std::uint64_t dropped_told_ = 0;
  std::shared_ptr<Lines> lines_;
};

}  // namespace ringway
