#include "gateway/ctl/render.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace ringway::ctl {
namespace {

using Json = nlohmann::ordered_json;

// Printable ASCII only: terminals obey some of the rest.
std::string harmless(const std::string& value) {
  std::string text;
  for (const char c : value) text += c >= ' ' && c < 127 ? c : '?';
  return text;
}

std::string value_text(const Json& value) {
  if (value.is_string()) return harmless(value.get<std::string>());
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_float()) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value.get<double>());
    return text;
  }
  return value.is_null() ? "-" : value.dump();
}

std::string cut(std::string text, std::size_t width) {
  if (text.size() > width)
    text = width > 3 ? text.substr(0, width - 3) + "..." : text.substr(0, width);
  return text;
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

std::string head_of(std::string key) {
  std::replace(key.begin(), key.end(), '_', ' ');
  std::transform(key.begin(), key.end(), key.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return key;
}

// Words of text in lines that begin with indent and fit the terminal.
std::string wrapped(const std::string& first, const std::string& text) {
  std::string lines = first;
  std::size_t used = first.size();
  const std::string indent(first.size(), ' ');
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (used + 1 + word.size() > kColumns && used > first.size()) {
      lines += "\n" + indent;
      used = indent.size();
    } else if (used > first.size()) {
      lines += ' ';
      ++used;
    }
    lines += word;
    used += word.size();
    at = end + 1;
  }
  return lines + "\n";
}

std::string age_text(std::int64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7'200) return std::to_string(seconds / 60) + " min";
  if (seconds < 172'800) return std::to_string(seconds / 3'600) + " h";
  return std::to_string(seconds / 86'400) + " days";
}

// Widths that together with a space between them fit kColumns; the widest give way first.
void fit(std::vector<std::size_t>& widths) {
  const auto total = [&] {
    std::size_t sum = widths.empty() ? 0 : widths.size() - 1;
    for (const std::size_t width : widths) sum += width;
    return sum;
  };
  while (total() > kColumns) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= 4) return;
    --*widest;
  }
}

}  // namespace

std::string status_text(const Json& status) {
  const bool ready = status.value("ready", false);
  std::string text = "ringway " + status.value("version", "") + ": " +
                     status.value("status", "unknown") +
                     (ready ? ", ready for calls\n" : ", NOT ready for calls\n");
  text += "  up " + age_text(status.value("uptime_seconds", std::int64_t{0})) + ", " +
          std::to_string(status.value("shards", 0)) + " shards, generation " +
          std::to_string(status.value("generation", 0)) + "\n";
  text += "  calls " + std::to_string(status.value("calls", 0)) + ", agents " +
          std::to_string(status.value("agents", 0)) + ", connections " +
          std::to_string(status.value("flows", 0)) + "\n\n";
  for (const Json& condition : status.value("conditions", Json::array())) {
    const std::string state = condition.value("state", "");
    const std::string first = "  " +
                              padded(state == "ok"       ? "ok"
                                     : state == "failed" ? "FAILED"
                                                         : state,
                                     9) +
                              padded(condition.value("condition", ""), 14);
    text += wrapped(first, harmless(condition.value("reason", "")));
  }
  return text;
}

std::string table_text(const Json& list, std::string_view what) {
  if (list.empty()) return "no " + std::string(what) + "\n";
  std::vector<std::string> keys;
  for (const auto& [key, value] : list.front().items()) keys.push_back(key);
  std::vector<std::size_t> widths;
  for (const std::string& key : keys) widths.push_back(key.size());
  for (const Json& row : list) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (row.contains(keys[i])) widths[i] = std::max(widths[i], value_text(row[keys[i]]).size());
    }
  }
  fit(widths);
  const auto line_of = [&](const auto& value) {
    std::string line;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      line += (i == 0 ? "" : " ") + padded(cut(value(i), widths[i]), widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
  };
  std::string text = line_of([&](std::size_t i) { return head_of(keys[i]); });
  for (const Json& row : list) {
    text += line_of([&](std::size_t i) {
      return row.contains(keys[i]) ? value_text(row[keys[i]]) : std::string("-");
    });
  }
  return text;
}

std::string reload_text(const Json& answer) {
  std::string text;
  for (const Json& mistake : answer.value("mistakes", Json::array())) {
    text += harmless(mistake.get<std::string>()) + "\n";
  }
  if (answer.contains("error")) return text + harmless(answer.value("error", "")) + "\n";
  for (const Json& line : answer.value("applied", Json::array())) {
    text += wrapped("  at once    ", harmless(line.get<std::string>()));
  }
  for (const Json& line : answer.value("restart", Json::array())) {
    text += wrapped("  restart    ", harmless(line.get<std::string>()));
  }
  if (text.empty()) text = "  nothing differs\n";
  return text;
}

std::string object_text(const Json& object) {
  std::string text;
  for (const auto& [key, value] : object.items()) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', ' ');
    text += wrapped(padded(name, 14) + " ", value_text(value));
  }
  return text;
}

}  // namespace ringway::ctl
