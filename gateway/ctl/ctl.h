#pragma once

#include <string>
#include <vector>

namespace ringway::ctl {

// `ringway ctl`: what a person or a script asks of a running gateway.
struct Options {
  std::string config;      // its file says where the gateway listens; empty: the usual places
  std::string socket;      // path; wins over config
  std::string admin;       // ADDRESS:PORT; wins over config
  std::string token_file;  // for an admin address that is not loopback
  bool json = false;       // print the answer as it came
  bool dry_run = false;    // reload: only say what would happen
  std::string lasting;     // bans add: "1h", "10m", "30s", "2d"
  std::vector<std::string> words;  // "calls", "end", "abc@host"
};

// The process's exit code: 0 done (status: ready for calls), 1 refused or not ready, 2 no such
// command, 3 nobody answers.
int run(const Options& options);

// All commands with their purpose, for --help.
std::string commands_help();

}  // namespace ringway::ctl
