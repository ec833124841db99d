#pragma once

#include <string>
#include <vector>

#include "gateway/config/load.h"

namespace ringway {

// What fits the file's own rules but will not do on this host, or is dangerous: each at the place
// of the setting, in a sentence that says what to do. Looks at this host's addresses, limits and
// files; changes nothing.
std::vector<Mistake> warn(const LoadedConfig& loaded);

// `ringway check`: mistakes and warnings to standard error, a summary to standard output; the
// process's exit code, 1 if the file cannot be used.
int check(const std::string& file);

void print(const std::string& file, const std::vector<Mistake>& mistakes, const char* kind = "");

}  // namespace ringway
