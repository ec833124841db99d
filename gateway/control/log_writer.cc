#include "gateway/control/log_writer.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

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

using Moment = std::chrono::system_clock::time_point;

// Control characters (delete and those above ASCII too, some of which terminals obey) and bytes
// that are no UTF-8 never reach a terminal as they are.
std::string readable(std::string_view value) {
  std::string text =
      nlohmann::json(value).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  const bool plain = value.find_first_of(" \"\\=") == value.npos && !value.empty() &&
                     text.size() == value.size() + 2;
  return plain ? text.substr(1, text.size() - 2) : text;
}

// The beginning of a line of text, and one more value at its end.
std::string begin_text(Moment moment, LogLevel level, std::string_view event) {
  std::string line = timestamp(moment).substr(11, 12);
  return line.append(" ").append(to_text(level)).append(" ").append(event);
}

void add_text(std::string& line, std::string_view key, std::string_view value) {
  line.append(" ").append(key).append("=").append(value);
}

nlohmann::ordered_json begin_json(Moment moment, LogLevel level, std::string_view event) {
  nlohmann::ordered_json line;
  line["time"] = timestamp(moment);
  line["level"] = to_text(level);
  line["event"] = event;
  return line;
}

std::string text_of(const nlohmann::ordered_json& line) {
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// All of it, however slowly the other side reads. What could not be written at all is left in text.
void write_whole(int descriptor, std::string_view& text) {
  while (!text.empty()) {
    const ssize_t size = ::write(descriptor, text.data(), text.size());
    if (size >= 0) {
      text.remove_prefix(static_cast<std::size_t>(size));
    } else if (errno == EAGAIN) {
      pollfd wait{descriptor, POLLOUT, 0};
      poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

}  // namespace

struct LogWriter::Lines {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> waiting;
  std::size_t bytes = 0;  // of all that wait
  bool closed = false;    // no more lines will come
  bool ended = false;     // the thread has written everything
  std::uint64_t lost = 0;   // could not be written
  bool works = true;        // the newest could
  bool broken_off = false;  // what was written ends within a line

  void write_all() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return !waiting.empty() || closed; });
      if (waiting.empty()) break;
      const std::string line = std::move(waiting.front());
      waiting.pop_front();
      bytes -= line.size();
      const bool cut = broken_off;
      lock.unlock();
      std::string_view rest = line, end_of_line = "\n";
      if (cut) write_whole(STDERR_FILENO, end_of_line);
      write_whole(STDERR_FILENO, rest);
      lock.lock();
      works = rest.empty();
      broken_off = works ? false : cut || rest.size() != line.size();
      lost += works ? 0 : 1;
    }
    ended = true;
    changed.notify_all();
  }
};

LogWriter::Format LogWriter::format_of(std::string_view word) {
  if (word == "json") return Format::Json;
  if (word == "text") return Format::Text;
  return isatty(STDERR_FILENO) ? Format::Text : Format::Json;
}

LogWriter::LogWriter(Format format, LogLevel level)
    : format_(format), level_(level), lines_(std::make_shared<Lines>()) {
  // Signals are the control thread's; the new thread inherits that none comes to it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([lines = lines_] { lines->write_all(); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LogWriter::~LogWriter() {
  std::unique_lock lock(lines_->mutex);
  lines_->closed = true;
  lines_->changed.notify_all();
  lines_->changed.wait_for(lock, std::chrono::seconds(1), [this] { return lines_->ended; });
}

std::uint64_t LogWriter::dropped() const {
  const std::lock_guard lock(lines_->mutex);
  return dropped_ + lines_->lost;
}

bool LogWriter::can_write() const {
  const std::lock_guard lock(lines_->mutex);
  return lines_->works;
}

bool LogWriter::push(std::string line) {
  line += '\n';
  const std::lock_guard lock(lines_->mutex);
  if (lines_->waiting.size() >= kLinesMax || lines_->bytes + line.size() > kBytesMax) return false;
  lines_->bytes += line.size();
  lines_->waiting.push_back(std::move(line));
  lines_->changed.notify_all();
  return true;
}

void LogWriter::put(std::string line) {
  if (!push(std::move(line))) {
    ++dropped_;
    return;
  }
  const std::uint64_t dropped = this->dropped();
  if (dropped == dropped_told_ || !can_write()) return;
  const std::uint64_t lost = dropped - dropped_told_;
  const Moment now = std::chrono::system_clock::now();
  bool told = false;
  if (format_ == Format::Json) {
    nlohmann::ordered_json line_json = begin_json(now, LogLevel::Warning, "log_lines_dropped");
    line_json["lines"] = lost;
    told = push(text_of(line_json));
  } else {
    std::string text = begin_text(now, LogLevel::Warning, "log_lines_dropped");
    add_text(text, "lines", std::to_string(lost));
    told = push(std::move(text));
  }
  if (told) dropped_told_ = dropped;
}

void LogWriter::write(const LogRecord& record) {
  if (record.level < level_) return;
  // The record carries the shard's monotonic clock; what is left to now is the same on both.
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto age = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) -
                   record.time.time_since_epoch();
  const Moment moment = std::chrono::system_clock::now() -
                        std::chrono::duration_cast<std::chrono::system_clock::duration>(age);
  if (format_ == Format::Json) {
    nlohmann::ordered_json line = begin_json(moment, record.level, record.event);
    line["shard"] = record.shard;
    for (std::size_t i = 0; i < record.field_count; ++i) {
      const LogRecord::Field& field = record.fields[i];
      if (field.is_number) {
        line[std::string(field.key)] = field.number;
      } else {
        line[std::string(field.key)] = record.text_of(field);
      }
    }
    return put(text_of(line));
  }
  std::string line = begin_text(moment, record.level, record.event);
  for (std::size_t i = 0; i < record.field_count; ++i) {
    const LogRecord::Field& field = record.fields[i];
    add_text(line, field.key,
             field.is_number ? std::to_string(field.number) : readable(record.text_of(field)));
  }
  put(std::move(line));
}

void LogWriter::event(LogLevel level, std::string_view event,
                      std::initializer_list<LogField> fields) {
  if (level < level_) return;
  const Moment now = std::chrono::system_clock::now();
  if (format_ == Format::Json) {
    nlohmann::ordered_json line = begin_json(now, level, event);
    for (const LogField& field : fields) {
      if (field.is_number) {
        line[std::string(field.key)] = field.number;
      } else {
        line[std::string(field.key)] = field.text;
      }
    }
    return put(text_of(line));
  }
  std::string line = begin_text(now, level, event);
  for (const LogField& field : fields) {
    add_text(line, field.key,
             field.is_number ? std::to_string(field.number) : readable(field.text));
  }
  put(std::move(line));
}

void LogWriter::event_with_json(LogLevel level, std::string_view event, std::string_view key,
                                const std::string& json, const std::string& text) {
  if (format_ == Format::Text) return this->event(level, event, {{key, text}});
  if (level < level_) return;
  nlohmann::ordered_json line = begin_json(std::chrono::system_clock::now(), level, event);
  line[std::string(key)] = nlohmann::json::parse(json);
  put(text_of(line));
}

}  // namespace ringway
