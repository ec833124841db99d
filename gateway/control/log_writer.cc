#include "gateway/control/log_writer.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

namespace ringway {
namespace {

std::string timestamp(std::chrono::system_clock::time_point moment) {
  const auto since = moment.time_since_epoch();
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(since).count();
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(since).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(millis));
  return text;
}

std::string_view word_of(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return "debug";
    case LogLevel::Info:
      return "info";
    case LogLevel::Warning:
      return "warning";
    case LogLevel::Error:
      return "error";
  }
  return "";
}

// Control characters (delete and those above ASCII too, some of which terminals obey) and bytes
// that are no UTF-8 never reach a terminal as they are.
std::string readable(std::string_view value) {
  std::string text =
      nlohmann::json(value).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  const bool plain = value.find_first_of(" \"\\=") == value.npos && !value.empty() &&
                     text.size() == value.size() + 2;
  return plain ? text.substr(1, text.size() - 2) : text;
}

}  // namespace

LogWriter::Format LogWriter::format_of(std::string_view word) {
  if (word == "json") return Format::Json;
  if (word == "text") return Format::Text;
  return isatty(STDERR_FILENO) ? Format::Text : Format::Json;
}

LogWriter::LogWriter(Format format, LogLevel level)
    : format_(format),
      level_(level),
      logger_(std::make_shared<spdlog::logger>("ringway",
                                               std::make_shared<spdlog::sinks::stderr_sink_st>())) {
  logger_->set_pattern("%v");
  logger_->set_level(spdlog::level::trace);
  logger_->flush_on(spdlog::level::trace);
}

LogWriter::~LogWriter() = default;

void LogWriter::write(const LogRecord& record) {
  if (record.level < level_) return;
  // The record carries the shard's monotonic clock; what is left to now is the same on both.
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto age = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) -
                   record.time.time_since_epoch();
  const auto moment = std::chrono::system_clock::now() -
                      std::chrono::duration_cast<std::chrono::system_clock::duration>(age);
  if (format_ == Format::Json) {
    nlohmann::ordered_json line;
    line["time"] = timestamp(moment);
    line["level"] = word_of(record.level);
    line["event"] = record.event;
    line["shard"] = record.shard;
    for (std::size_t i = 0; i < record.field_count; ++i) {
      const LogRecord::Field& field = record.fields[i];
      if (field.is_number) {
        line[std::string(field.key)] = field.number;
      } else {
        line[std::string(field.key)] = record.text_of(field);
      }
    }
    logger_->info(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  std::string line = timestamp(moment).substr(11, 12);
  line += ' ';
  line += word_of(record.level);
  line += ' ';
  line += record.event;
  for (std::size_t i = 0; i < record.field_count; ++i) {
    const LogRecord::Field& field = record.fields[i];
    line += ' ';
    line += field.key;
    line += '=';
    line += field.is_number ? std::to_string(field.number) : readable(record.text_of(field));
  }
  logger_->info(line);
}

void LogWriter::event(LogLevel level, std::string_view event,
                      std::initializer_list<LogField> fields) {
  if (level < level_) return;
  if (format_ == Format::Json) {
    nlohmann::ordered_json line;
    line["time"] = timestamp(std::chrono::system_clock::now());
    line["level"] = word_of(level);
    line["event"] = event;
    for (const LogField& field : fields) {
      if (field.is_number) {
        line[std::string(field.key)] = field.number;
      } else {
        line[std::string(field.key)] = field.text;
      }
    }
    logger_->info(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  std::string line = timestamp(std::chrono::system_clock::now()).substr(11, 12);
  line += ' ';
  line += word_of(level);
  line += ' ';
  line += event;
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    line += field.is_number ? std::to_string(field.number) : readable(field.text);
  }
  logger_->info(line);
}

void LogWriter::event_with_json(LogLevel level, std::string_view event, std::string_view key,
                                const std::string& json, const std::string& text) {
  if (format_ == Format::Text) return this->event(level, event, {{key, text}});
  if (level < level_) return;
  nlohmann::ordered_json line;
  line["time"] = timestamp(std::chrono::system_clock::now());
  line["level"] = word_of(level);
  line["event"] = event;
  line[std::string(key)] = nlohmann::json::parse(json);
  logger_->info(line.dump());
}

}  // namespace ringway
