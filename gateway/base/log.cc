#include "gateway/base/log.h"

#include <algorithm>
#include <cstring>

namespace ringway {
namespace {

constexpr std::size_t kValueBytesMax = 256;

}  // namespace

std::string_view to_text(LogLevel level) {
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

bool Log::take_allowance(std::string_view event) {
  const auto place = reinterpret_cast<std::uintptr_t>(event.data()) / 8 % allowances_.size();
  Allowance& allowance = allowances_[place];
  if (allowance.event != event.data() || now_ - allowance.window >= 1s) {
    allowance = {event.data(), now_, kEventsASecond};
  }
  if (allowance.left == 0) return false;
  --allowance.left;
  return true;
}

void Log::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!writes(level)) return;
  if (!take_allowance(event)) {
    counters_.log_dropped.add();
    return;
  }
  put(level, event, fields);
}

void Log::account(std::string_view event, std::initializer_list<LogField> fields) {
  put(LogLevel::Info, event, fields);
}

void Log::put(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  LogRecord record;
  record.time = now_;
  record.event = event;
  record.level = level;
  record.shard = shard_;
  for (const LogField& field : fields) {
    if (record.field_count == LogRecord::kFieldsMax) break;
    const std::size_t space = LogRecord::kTextMax - record.text_size;
    const std::size_t size = std::min({field.text.size(), kValueBytesMax, space});
    if (size != 0) std::memcpy(record.text.data() + record.text_size, field.text.data(), size);
    record.fields[record.field_count++] = {field.key, field.number, record.text_size,
                                           static_cast<std::uint16_t>(size), field.is_number};
    record.text_size = static_cast<std::uint16_t>(record.text_size + size);
  }
  if (!queue_.push(std::move(record))) counters_.log_dropped.add();
}

}  // namespace ringway
