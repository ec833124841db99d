#pragma once

#include <sys/types.h>

#include <expected>
#include <string>

namespace ringway {

// The demo's lab, a child process that ends with us.
struct LabProcess {
  pid_t pid = -1;
  int output = -1;      // its standard output, behind the ready line
  std::string address;  // where its SIP server listens, "127.0.0.1:40001"
  std::string page;     // what phone.json tells the page: domain and numbers, as JSON
};

// Starts `ringway-lab` (beside this program, in lab/ below it, or in PATH) and waits until it is
// ready. Errors: one sentence with what to do.
[[nodiscard]] std::expected<LabProcess, std::string> start_lab(const std::string& domain);
void stop_lab(const LabProcess& lab);

}  // namespace ringway
