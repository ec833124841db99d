#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/log.h"

namespace spdlog {
class logger;
}

namespace ringway {

// Writes the shards' events, and the control thread's own, to standard error: one JSON object a
// line, or readable text where a person looks on. Everything from the wire is escaped.
class LogWriter {
 public:
  enum class Format : std::uint8_t { Json, Text };

  // word: auto, json or text, as in the config; auto is text on a terminal.
  static Format format_of(std::string_view word);

  LogWriter(Format format, LogLevel level);
  ~LogWriter();

  void write(const LogRecord& record);
  // An event of the control thread.
  void event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);
  // The same with a value that is JSON already (for lists).
  void event_with_json(LogLevel level, std::string_view event, std::string_view key,
                       const std::string& json, const std::string& text);
  void set_level(LogLevel level) { level_ = level; }

 private:
  Format format_;
  LogLevel level_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace ringway
