#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ringway::ctl {

inline constexpr std::size_t kColumns = 80;  // of a terminal; no line is longer

// What people see of an answer's JSON. Everything from the wire is made harmless for a terminal.

// Conditions in words, then what runs.
std::string status_text(const nlohmann::ordered_json& status);
// A list of objects as a table: a line of heads, then one for each, cut where there is no room.
// what: "calls", for an empty list.
std::string table_text(const nlohmann::ordered_json& list, std::string_view what);
// What a reload did or would do.
std::string reload_text(const nlohmann::ordered_json& answer);
// One object, a line for each key.
std::string object_text(const nlohmann::ordered_json& object);

}  // namespace ringway::ctl
