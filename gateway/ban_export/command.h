#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace ringway::ban_export {

// `ringway bans-export`: its flags.
class Command {
 public:
  // Adds it to the program's commands. app outlives this object.
  explicit Command(CLI::App& app);

  bool parsed() const;
  // Runs until SIGTERM or SIGINT; the exit code. notify: tells the service manager.
  int run(void (*notify)(std::string_view));

 private:
  CLI::App* app_;
  std::string config_, socket_, user_, table_ = "ringway";
  std::vector<std::uint16_t> ports_;
  int every_ = 2;
};

}  // namespace ringway::ban_export
