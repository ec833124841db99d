#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "gateway/base/prefix.h"
#include "gateway/config/document.h"
#include "gateway/tunnel/controller_end.h"
#include "gateway/tunnel/listeners.h"
#include "gateway/tunnel/relay_end.h"
#include "gateway/tunnel/targets.h"

namespace ringway::tunnel {

enum class End : std::uint8_t { Controller, Relay };

// What a person writes, as flags or as TOML of the same names; empty: not said.
struct Wishes {
  std::string end;                  // TOML only: "controller" or "relay"
  std::vector<std::string> listen;  // controller: ADDRESS:PORT or unix:PATH; relay: ADDRESS:PORT
  std::vector<std::string> relay;   // controller: HOST:PORT of relay ends, preferred one first
  std::string rtpengine;            // relay: ADDRESS:PORT or tcp:ADDRESS:PORT
  std::string keys;                 // folder that `ringway tunnel keys` made
  std::vector<std::string> plain;   // prefixes: without TLS from and to these
  std::string kind = "control";     // or "datagrams"
  std::string admin;                // ADDRESS:PORT
  std::vector<std::string> admin_names;  // host names by which it is asked
  std::string user;                 // to become, when started as root
  std::uint16_t connections = 2;
  Duration timeout = 4500ms, silence = 1s;
  std::string ping = "auto";  // relay: "auto" or "off"
};

// One end, checked.
struct Settings {
  End end = End::Controller;
  std::string keys;  // empty: plain TCP
  std::vector<Prefix> plain;
  std::optional<Endpoint> admin;
  std::vector<std::string> admin_names;
  std::string user;
  // Controller end.
  std::vector<ListenAddress> listen;
  ControllerSettings controller;
  // Relay end.
  Endpoint relay_listen;
  std::string relay_listen_text;
  TargetAddress target;
  RelaySettings relay;
};

// file: for paths that are relative to it. Mistakes are added.
Wishes read_wishes(const std::string& file, std::vector<Mistake>& mistakes);

// Resolves the names of relay ends. Errors: a sentence that names the setting and says what to do.
[[nodiscard]] std::expected<Settings, std::string> check_wishes(const Wishes& wishes, End end);

// May the tunnel go to or come from this address without TLS?
bool may_be_plain(const Address& address, const std::vector<Prefix>& plain);

}  // namespace ringway::tunnel
