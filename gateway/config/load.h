#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/document.h"
#include "gateway/config/table_reader.h"

namespace ringway {

struct LoadedConfig {
  Config config;
  Locations locations;
  std::vector<Mistake> mistakes;  // in the order of the file; empty: config may be used
};

// Reads and validates a configuration file. Finds every mistake, not only the first (but only the
// first one against TOML's syntax). A file that cannot be read is a mistake without a position.
// File names in the result are relative to the directory of the file that names them.
LoadedConfig load_config(const std::string& file);

// The same for text that stands for the content of file.
LoadedConfig parse_config(std::string_view text, const std::string& file);

// Every key that the loader knows, as paths without indexes: "shards", "timers.grace",
// "listen.address".
std::set<std::string> known_keys();

// Reads a whole regular file of at most bytes_max; an error text if that fails. It never waits: a
// pipe or a device in its place is refused.
struct FileText {
  std::string text;
  std::string error;
};
FileText read_text_file(const std::string& file, std::size_t bytes_max = 1 << 20);

}  // namespace ringway
