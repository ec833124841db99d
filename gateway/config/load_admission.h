#pragma once

#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/table_reader.h"

namespace ringway {

// [bans], [budgets]. file: the document's name, which files are named relative to.
void read_admission(TableReader& root, const std::string& file, Config& config, ReadLog& log);

// Asks for every key of [[fraud]], so that they are known.
void note_fraud_keys(ReadLog& log);

// BansConfig::lasting as times; what is none is left out. Never empty.
std::vector<Duration> ban_durations(const BansConfig& bans);

}  // namespace ringway
