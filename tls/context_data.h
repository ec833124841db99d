#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tls/context.h"
#include "tls/handles.h"

typedef struct ssl_st SSL;

// What a TlsContext holds, for the sources of this folder.

namespace ringway::tls {

struct ServerName {
  std::string name;  // lower case, without final dot; wildcards without their `*`: `.example.org`
  SSL_CTX* context;  // one of ServerSide::contexts
};

struct ServerSide {
  std::vector<SslContextHandle> contexts;  // one for each certificate
  SSL_CTX* fallback = nullptr;             // the default certificate's
  std::vector<ServerName> exact;           // sorted by name
  std::vector<ServerName> wildcards;       // sorted by name
  UnknownNamePolicy unknown_name = UnknownNamePolicy::UseDefault;
};

struct ClientSide {
  SslContextHandle context;
  NamePolicy name_policy = NamePolicy::Strict;
  bool verify_chain = true;
};

struct Profiles {
  std::vector<ServerSide> servers;
  std::vector<ClientSide> clients;
};

struct TlsContext::Data {
  std::shared_ptr<const Profiles> profiles;
  TicketKeys keys;
};

// The context that serves an SNI name; null if none does. name: any case, with or without dot.
SSL_CTX* find_server_context(const ServerSide& side, std::string_view name);

// What the callbacks of a session need; hung onto its SSL and freed with it.
struct SessionLinks {
  const TlsContext::Data* data = nullptr;  // kept alive by the TlsSession
  const ServerSide* server = nullptr;
  const ClientSide* client = nullptr;
  std::string peer_name;  // to verify, when we call
};

// False without memory.
[[nodiscard]] bool attach_links(SSL* ssl, std::unique_ptr<SessionLinks> links);
const SessionLinks* links_of(const SSL* ssl);

}  // namespace ringway::tls
