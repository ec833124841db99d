#include "gateway/ctl/ctl.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "gateway/ctl/place.h"
#include "gateway/ctl/render.h"

namespace ringway::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDone = 0, kRefused = 1, kUsage = 2, kNobody = 3;

// What is typed and what is asked for it. Argument: what the second or third word names.
struct Command {
  std::string_view name, verb, argument, method, path, purpose;
};
constexpr Command kCommands[] = {
    {"status", "", "", "GET", "/status", "conditions in words, and what runs"},
    {"reload", "", "", "POST", "/reload", "read the configuration again (--dry-run: only tell)"},
    {"drain", "", "", "POST", "/drain", "take no new calls; those that run go on"},
    {"undrain", "", "", "POST", "/undrain", "take new calls again"},
    {"calls", "", "", "GET", "/calls", "calls under way"},
    {"calls", "show", "CALL-ID", "GET", "/calls", "one of them"},
    {"calls", "end", "CALL-ID", "POST", "/calls/end", "end it towards both sides"},
    {"agents", "", "", "GET", "/agents", "who is registered from where"},
    {"agents", "remove", "AOR", "POST", "/agents/remove", "forget where it is"},
    {"flows", "", "", "GET", "/flows", "connections"},
    {"flows", "kick", "FLOW", "POST", "/flows/kick", "close one"},
    {"bans", "", "", "GET", "/bans", "sources that are kept out"},
    {"bans", "add", "ADDRESS", "POST", "/bans/add", "keep one out (--for 1h)"},
    {"bans", "lift", "ADDRESS", "POST", "/bans/lift", "let it in again"},
    {"bans", "remove", "ADDRESS", "POST", "/bans/remove", "the same"},
    {"next-hops", "", "", "GET", "/next-hops", "SIP servers and their state"},
    {"next-hops", "hold", "NAME", "POST", "/next-hops/hold", "send nothing new there"},
    {"next-hops", "release", "NAME", "POST", "/next-hops/release", "send there again"},
    {"next-hops", "drain", "NAME", "POST", "/next-hops/drain", "hold it, let its calls end"},
    {"next-hops", "probe", "NAME", "POST", "/next-hops/probe", "ask it now"},
    {"relays", "", "", "GET", "/relays", "media relays and their state"},
    {"relays", "hold", "ADDRESS", "POST", "/relays/hold", "no new sessions there"},
    {"relays", "release", "ADDRESS", "POST", "/relays/release", "use it again"},
    {"relays", "drain", "ADDRESS", "POST", "/relays/drain", "hold it, let its sessions end"},
    {"relays", "probe", "ADDRESS", "POST", "/relays/probe", "ask it now"},
    {"certificates", "", "", "GET", "/certificates", "files, owners and ends"},
    {"log", "level", "LEVEL", "POST", "/log-level", "debug, info, warning or error"},
    {"log-level", "", "LEVEL", "POST", "/log-level", "the same"},
};

int complain(int code, const std::string& text) {
  std::fprintf(stderr, "ringway ctl: %s\n", text.c_str());
  return code;
}

const Command* find(const std::vector<std::string>& words) {
  for (const Command& command : kCommands) {
    const std::size_t count =
        1 + (command.verb.empty() ? 0 : 1) + (command.argument.empty() ? 0 : 1);
    if (words.size() != count || words[0] != command.name) continue;
    if (!command.verb.empty() && words[1] != command.verb) continue;
    return &command;
  }
  // "calls list" means "calls".
  if (words.size() == 2 && words[1] == "list") return find({words[0]});
  return nullptr;
}

std::string unknown(const std::vector<std::string>& words) {
  std::string text, forms;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  for (const Command& command : kCommands) {
    if (words.empty() || words[0] != command.name) continue;
    forms += "\n  ringway ctl " + std::string(command.name);
    if (!command.verb.empty()) forms += " " + std::string(command.verb);
    if (!command.argument.empty()) forms += " " + std::string(command.argument);
  }
  if (forms.empty()) return "\"" + text + "\" is no command; `ringway ctl --help` lists them all";
  return "\"" + text + "\" is not complete or has too much; what there is:" + forms;
}

// "1h" in seconds; nullopt if it is no such thing.
std::optional<std::int64_t> seconds_of(const std::string& text) {
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  if (digits == 0 || digits > 9) return std::nullopt;
  const std::int64_t number = std::stoll(text.substr(0, digits));
  const std::string unit = text.substr(digits);
  if (unit.empty() || unit == "s") return number;
  if (unit == "m") return number * 60;
  if (unit == "h") return number * 3'600;
  if (unit == "d") return number * 86'400;
  return std::nullopt;
}

std::string target_of(const Command& command, const Options& options) {
  std::string target(command.path);
  const std::string argument = command.argument.empty() ? "" : options.words.back();
  if (command.path == "/log-level") return target + "?level=" + encoded(argument);
  if (command.name == "reload") return target + (options.dry_run ? "?dry_run=1" : "");
  if (!argument.empty()) target += "?name=" + encoded(argument);
  if (command.verb == "add") {
    const auto seconds = seconds_of(options.lasting.empty() ? "1h" : options.lasting);
    target += "&seconds=" + std::to_string(seconds.value_or(3'600));
  }
  return target;
}

// As people call what a command lists.
std::string_view what_of(std::string_view command) {
  if (command == "next-hops") return "next hops";
  return command == "flows" ? "connections" : command;
}

std::string text_of(const Command& command, const Options& options, const Json& answer) {
  if (command.name == "status") return status_text(answer);
  if (command.name == "reload") {
    const std::string head =
        options.dry_run
            ? "what a reload would do:\n"
            : "generation " + std::to_string(answer.value("generation", 0)) + " is in force:\n";
    return (answer.contains("error") ? "" : head) + reload_text(answer);
  }
  if (answer.contains("error")) return answer.value("error", "") + "\n";
  if (command.method == "GET") {
    std::string key(command.name == "next-hops" ? "next_hops" : command.name);
    const Json list = answer.value(key, Json::array());
    if (command.verb == "show" && list.size() == 1) return object_text(list.front());
    std::string text = table_text(list, what_of(command.name));
    if (answer.contains("incomplete")) text += answer.value("incomplete", "") + "\n";
    return text;
  }
  return answer.contains("done") ? "done (" + answer["done"].dump() + ")\n" : "done\n";
}

// Prints what came, and says it by the exit code. Throws Json::exception.
int tell(const Command& command, const Options& options, const Answer& answer) {
  const Json body = Json::parse(answer.body, nullptr, false);
  if (!body.is_object()) return complain(kRefused, answer.body);
  const bool refused = answer.status >= 300;
  const bool not_found = command.verb == "show" && body.value("calls", Json::array()).empty();
  if (options.json) {
    std::printf("%s\n", body.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  } else if (not_found) {
    return complain(kRefused, "no call has the Call-ID " + options.words.back() +
                                  "; `ringway ctl calls` lists them");
  } else {
    std::fputs(text_of(command, options, body).c_str(), refused ? stderr : stdout);
  }
  if (std::fflush(stdout) != 0) {
    return complain(kRefused, std::string("the answer cannot be written: ") + std::strerror(errno));
  }
  if (command.name == "status" && !body.value("ready", false)) return kRefused;
  return refused || not_found || body.contains("incomplete") ? kRefused : kDone;
}

}  // namespace

std::string commands_help() {
  std::string text = "Commands:\n";
  for (const Command& command : kCommands) {
    std::string form(command.name);
    if (!command.verb.empty()) form += " " + std::string(command.verb);
    if (!command.argument.empty()) form += " " + std::string(command.argument);
    text += "  " + form + std::string(form.size() < 26 ? 26 - form.size() : 1, ' ') +
            std::string(command.purpose) + "\n";
  }
  return text +
         "Exit codes: 0 done (status: ready), 1 refused or not ready,\n"
         "            2 no such command, 3 nobody answers.";
}

int run(const Options& options) {
  const Command* const command = find(options.words);
  if (!command) return complain(kUsage, unknown(options.words));
  if (!options.lasting.empty() && !seconds_of(options.lasting)) {
    return complain(kUsage, "--for " + options.lasting + " is no time like 30s, 10m, 1h or 2d");
  }
  const auto place = find_place(options);
  if (!place) return complain(kNobody, place.error());
  const auto answer = ask(*place, std::string(command->method), target_of(*command, options));
  if (!answer) return complain(kNobody, answer.error());
  try {
    return tell(*command, options, *answer);
  } catch (const Json::exception&) {  // other types than a gateway's
    return complain(kRefused, "what answers there is no ringway, or another version of it");
  }
}

}  // namespace ringway::ctl
