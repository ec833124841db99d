#pragma once

#include "tests/fuzz/edge_properties.h"
#include "tests/fuzz/properties.h"

// All fuzz targets. tests/fuzz/run makes a libFuzzer program of each check_NAME; short_run_test
// runs all of them for seconds with inputs of its own. A new one goes into the lists of both.

namespace ringway::fuzz {

void check_tunnel(Bytes input);
// Lists that people fetch from elsewhere, and numbers that strangers dial.
void check_admission(Bytes input);
// Rule files, and messages under them.
void check_rules(Bytes input);
// Sequences of messages, flows and time over two shards.
void check_stateful(Bytes input);

}  // namespace ringway::fuzz
