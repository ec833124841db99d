#pragma once

#include "gateway/tunnel/shell.h"

namespace CLI {
class App;
}

namespace ringway::tunnel {

// `ringway tunnel`: its flags and subcommands.
class Command {
 public:
  // Adds it to the program's commands. app outlives this object.
  explicit Command(CLI::App& app);

  bool parsed() const;
  // Runs what was asked for; the exit code.
  int run(Notify notify);

 private:
  int serve(const Wishes& wishes, End end, Notify notify);
  int run_file(Notify notify);

  CLI::App* tunnel_;
  CLI::App* controller_;
  CLI::App* relay_;
  CLI::App* keys_;
  Wishes wishes_;
  std::string timeout_ = "4500ms", silence_ = "1s";
  std::string file_, out_;
};

}  // namespace ringway::tunnel
