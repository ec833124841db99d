#pragma once

#include "gateway/config/config.h"

namespace ringway {

// Writes the TCP twins of UDP listeners (RFC 3261 18.2.1) behind Config::listen, as listeners with
// twin_of: "inside" gets "inside-tcp". A UDP listener whose TCP port the file gives to another one
// has none. Once more changes nothing.
void add_tcp_twins(Config& config);

}  // namespace ringway
