#include "gateway/ctl/render.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace ringway::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLastColumn = 28;  // of a table: what is longer goes on below

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
  if (key.ends_with("_seconds")) key.resize(key.size() - 8);
  if (key == "seconds_left") key = "left";
  std::replace(key.begin(), key.end(), '_', ' ');
  std::transform(key.begin(), key.end(), key.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return key;
}

// Words of text in lines that begin with indent and fit the terminal; a word that is longer than
// that is cut in pieces.
std::string wrapped(const std::string& first, const std::string& text) {
  std::string lines = first;
  std::size_t used = first.size();
  bool empty = true;  // nothing stands behind the indent
  const std::string indent(std::min(first.size(), kColumns - kLastColumn), ' ');
  const auto new_line = [&] {
    lines += "\n" + indent;
    used = indent.size();
    empty = true;
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    std::string word = text.substr(at, end - at);
    at = end + 1;
    if (!empty && used + 1 + word.size() > kColumns) new_line();
    if (!empty) word.insert(0, " ");
    for (; used + word.size() > kColumns; new_line()) {
      const std::size_t room = kColumns - used;
      lines += word.substr(0, room);
      word.erase(0, room);
    }
    lines += word;
    used += word.size();
    empty = false;
  }
  return lines + "\n";
}

std::string age_text(std::int64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7'200) return std::to_string(seconds / 60) + " min";
  if (seconds < 172'800) return std::to_string(seconds / 3'600) + " h";
  return std::to_string(seconds / 86'400) + " days";
}

// "<sip:bob@example.org>;tag=x" as bob@example.org.
std::string party_text(const std::string& value) {
  const std::size_t scheme = value.find("sip");
  const std::size_t colon = scheme == value.npos ? value.npos : value.find(':', scheme);
  if (colon == value.npos) return value;
  return value.substr(colon + 1, value.find_first_of(">;?", colon) - colon - 1);
}

// A number of seconds is said as people do.
std::string cell_text(const std::string& key, const Json& value) {
  if (!key.ends_with("_seconds") && key != "seconds_left") return value_text(value);
  return value.is_number() ? age_text(value.get<std::int64_t>()) : value_text(value);
}

// One call: its Call-ID whole, since that is what names it, and below it who and how.
std::string call_block(const Json& call) {
  const auto text = [&](const char* key) { return harmless(call.value(key, "")); };
  std::string how = text("state");
  how += " " + age_text(static_cast<std::int64_t>(call.value("age_seconds", 0.0)));
  how += ", by " + text("transport");
  if (!text("next_hop").empty()) how += ", next hop " + text("next_hop");
  if (!text("relay").empty()) how += ", relay " + text("relay");
  if (call.value("away", false)) how += ", ONE SIDE IS AWAY";
  if (call.value("resumed", false)) how += ", taken up after a restart";
  return wrapped("", text("call_id")) +
         wrapped("  ", party_text(text("from")) + " -> " + party_text(text("to"))) +
         wrapped("  ", how);
}

std::string certificate_block(const Json& one) {
  const std::int64_t days = one.value("days_left", std::int64_t{0});
  const std::string subject = harmless(one.value("subject", ""));
  const std::string kind = harmless(one.value("kind", "certificate"));
  return wrapped("", harmless(one.value("file", ""))) +
         wrapped("  ", (days < 0 ? "HAS ENDED" : "ends in " + std::to_string(days) + " days") +
                           ", " + kind + (subject.empty() ? "" : " of " + subject) + ", " +
                           harmless(one.value("used_by", "")));
}

// What a person wants to see of a row; --json has the rest.
bool is_shown(std::string_view what, const std::string& key) {
  if (what == "agents") return key != "flow";
  if (what == "connections") return key != "opened_by";
  return true;
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

// The last column may go on in further lines; the others are cut if need be.
std::string table_text(const Json& list, std::string_view what) {
  if (list.empty()) return "no " + std::string(what) + "\n";
  std::string text;
  if (what == "calls" || what == "certificates") {
    for (const Json& one : list) text += what == "calls" ? call_block(one) : certificate_block(one);
    return text;
  }
  std::vector<std::string> keys;
  for (const auto& [key, value] : list.front().items()) {
    if (is_shown(what, key)) keys.push_back(key);
  }
  if (keys.empty()) return "no " + std::string(what) + "\n";
  std::vector<std::size_t> widths;
  for (const std::string& key : keys) widths.push_back(head_of(key).size());
  for (const Json& row : list) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!row.contains(keys[i])) continue;
      widths[i] = std::max(widths[i], cell_text(keys[i], row[keys[i]]).size());
    }
  }
  widths.back() = std::min(widths.back(), kLastColumn);
  fit(widths);
  const auto line_of = [&](const auto& value) {
    std::string line;
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
      line += padded(cut(value(i), widths[i]), widths[i]) + " ";
    }
    return wrapped(line, value(keys.size() - 1));
  };
  text = line_of([&](std::size_t i) { return head_of(keys[i]); });
  for (const Json& row : list) {
    text += line_of([&](std::size_t i) {
      return row.contains(keys[i]) ? cell_text(keys[i], row[keys[i]]) : std::string("-");
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
