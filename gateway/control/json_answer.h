#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "gateway/control/admin_server.h"

namespace ringway {

inline constexpr const char* kJson = "application/json";
// Rows of a table in one answer; what is beyond is said by "cut_at".
inline constexpr std::size_t kRowsMax = 1'000;

// One line. Bytes of user agents that are no UTF-8 are replaced.
inline std::string text_of(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

inline AdminAnswer json_answer(int status, const nlohmann::ordered_json& body) {
  return {status, kJson, text_of(body)};
}

// What was wrong with the request, in words for who asked.
inline AdminAnswer error_answer(int status, std::string text) {
  return json_answer(status, {{"error", std::move(text)}});
}

}  // namespace ringway
