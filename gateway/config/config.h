#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/base/kernel_kind.h"
#include "gateway/base/log.h"
#include "gateway/base/transport.h"
#include "protocol/base/time.h"

// The configuration as plain values: what configs/ringway.toml names, with the same words.
// Read once by load(), checked once by validate(), immutable from then on.

namespace ringway {

// A certificate chain with its key, and the names it is offered for.
struct CertificateConfig {
  std::vector<std::string> names;  // exact or "*.example.org"; empty: read from the certificate
  std::string chain_file, key_file;
  std::string rsa_chain_file, rsa_key_file;  // a second pair for peers without ECDSA; may be empty
  bool is_default = false;                   // for clients without SNI, or with an unknown one
  friend bool operator==(const CertificateConfig&, const CertificateConfig&) = default;
};

enum class ClientCertificates : std::uint8_t { Ignore, Request, Require };
enum class UnknownServerName : std::uint8_t { UseDefault, Refuse };
// What a client's certificate must be made for. Any: whatever its extendedKeyUsage says, since
// public authorities issue certificates for servers alone. Client: clientAuth must be there.
enum class ClientCertificatePurpose : std::uint8_t { Any, Client };
// Who may open calls over an access listener: user agents that have registered, or anybody.
enum class Admission : std::uint8_t { Registered, Open };

// How Record-Route and Path name a TLS listener (RFC 5658 6.2, RFC 5630 5.3; what phones want).
enum class RecordRouteSecure : std::uint8_t { Name, Sips, TransportTls };

// Entries of [[listen]].
inline constexpr std::size_t kListenersMax = 120;
// Places in Config::listen: with the TCP twins of UDP listeners, and with those that reloads took
// away. They have to fit the byte of a flow token.
inline constexpr std::size_t kListenerPlacesMax = 2 * kListenersMax;

// What user agents or next hops are offered where descriptions pass a media relay. Auto: as they
// describe themselves, or what worked before, or RTP.
enum class MediaProfile : std::uint8_t { Auto, Rtp, Srtp, Webrtc };

// What becomes of the digits that user agents send by INFO towards a next hop. Info: they pass.
// Rfc4733: the media relay plays them as telephone-event.
enum class Dtmf : std::uint8_t { Info, Rfc4733 };

struct ListenConfig {
  std::string name;     // for logs and send_from; default "<transport>-<n>"
  std::string twin_of;  // the TCP twin of a UDP listener: that one's name
  Side side = Side::Access;
  Admission admission = Admission::Registered;  // access side
  Transport transport = Transport::Udp;
  Endpoint address;                  // port 0: the kernel chooses, printed at start
  std::string advertise_host;        // Via, Record-Route, Path; empty: address
  std::uint16_t advertise_port = 0;  // 0: the listener's
  bool port_per_shard = false;       // UDP, network side: shard n listens on port + n
  bool tcp_twin = true;              // UDP: listen on the same TCP port too (RFC 3261 18.2.1)
  // TLS and WSS.
  std::vector<CertificateConfig> certificates;
  UnknownServerName unknown_server_name = UnknownServerName::UseDefault;
  ClientCertificates client_certificates = ClientCertificates::Ignore;
  ClientCertificatePurpose client_certificate_purpose = ClientCertificatePurpose::Any;
  std::string client_ca_file, client_crl_file;
  std::uint16_t tls_version_min = 0x0303;  // 0x0303: TLS 1.2, 0x0304: TLS 1.3
  RecordRouteSecure record_route_secure = RecordRouteSecure::Name;
  MediaProfile media_profile = MediaProfile::Auto;  // of user agents; access side only
  // WS and WSS.
  bool record_route_wss = false;     // write transport=wss instead of ws
  std::vector<std::string> origins;  // allowed Origin values; empty: any
  std::vector<std::string> hosts;    // allowed Host names; empty: any
  std::string path = "";             // path of the upgrade; empty: any
  // PROXY protocol v1/v2 is required from these sources (prefixes), refused from others.
  std::vector<std::string> proxy_protocol_from;
  // WS and WSS: web proxies (prefixes) whose X-Forwarded-For or Forwarded is believed at the
  // upgrade.
  std::vector<std::string> forwarded_from;
  bool removed = false;  // a reload took it away: nothing new comes or goes, its place stays taken
  friend bool operator==(const ListenConfig&, const ListenConfig&) = default;
};

// How in-dialog requests and calls find a registered client (design: nat/).
enum class BindingMode : std::uint8_t { Path, Contact, Auto };
enum class NameCheck : std::uint8_t { Strict, Wildcard, Off };
// Chain: a server's certificate must come from an authority that we trust. None: anybody's will do,
// so whoever stands between can read and change everything.
enum class TlsVerify : std::uint8_t { Chain, None };
// From which side requests may be sent to a next hop.
enum class NextHopFrom : std::uint8_t { Access, Network, Both };

struct NextHopConfig {
  std::string name;                    // for logs, metrics and /calls; default its address
  std::vector<std::string> domains;    // request domains that go here; empty: the default next hop
  std::string host;                    // a name or a numeric address
  std::uint16_t port = 0;              // 0: by NAPTR and SRV, else the transport's default
  std::optional<Transport> transport;  // Udp, Tcp or Tls; none: by NAPTR and SRV, else UDP
  std::uint16_t priority = 0;          // lower first
  std::uint16_t weight = 1;            // share among those of one priority; 0: only if alone
  // Both for a default next hop (without domains), Network for the others, unless the file says.
  NextHopFrom from = NextHopFrom::Both;
  // What else belongs to it: prefixes and host names. Their requests count as its own, and requests
  // may be sent there with its TLS profile.
  std::vector<std::string> members;
  std::string send_from;  // name of a network-side listener; empty: the first that fits
  MediaProfile media_profile = MediaProfile::Auto;
  Dtmf dtmf = Dtmf::Info;
  BindingMode binding = BindingMode::Path;
  bool add_supported_path = false;  // add "path" to Supported of REGISTER
  Duration probe_interval = 10s;    // OPTIONS; zero: never
  // TLS.
  std::string tls_ca_file, tls_crl_file;  // empty CA: the system's
  std::string tls_certificate_file, tls_key_file;
  NameCheck tls_name_check = NameCheck::Strict;
  TlsVerify tls_verify = TlsVerify::Chain;
  bool removed = false;  // a reload took it away: nothing new goes there, its place stays taken
  friend bool operator==(const NextHopConfig&, const NextHopConfig&) = default;
};

// Who else may send requests to a network listener: carriers and servers that are no next hop.
struct TrustedConfig {
  std::string name;  // for logs
  std::vector<std::string> prefixes;
  friend bool operator==(const TrustedConfig&, const TrustedConfig&) = default;
};

// What becomes of header fields of messages that come from one side. Names as a header has them,
// compact forms included.
struct HeaderRuleConfig {
  Side side = Side::Access;
  std::vector<std::string> remove;
  std::vector<std::string> keep;  // of those that go by default
  std::vector<std::string> add;   // "Name: value", into requests that open a dialog or stand alone
  friend bool operator==(const HeaderRuleConfig&, const HeaderRuleConfig&) = default;
};

// One rtpengine.
struct RelayConfig {
  RelayConfig() = default;
  RelayConfig(const Endpoint& at) : address(at) {}

  Endpoint address;                      // its listen-tcp-ng or listen-ng
  Transport transport = Transport::Tcp;  // or Udp
  std::uint32_t weight = 1;              // its share of new calls, 0..1000; 0: only as the last
  bool drain = false;                    // no new calls; those that are there stay
  // The same relay, whatever its share.
  bool is_same(const RelayConfig& other) const {
    return address == other.address && transport == other.transport;
  }
  friend bool operator==(const RelayConfig&, const RelayConfig&) = default;
};

struct MediaConfig {
  std::vector<RelayConfig> relays;  // empty: SDP passes untouched
  bool allow_public = false;  // ng has no authentication: a relay at a public address is refused
  Duration request_timeout = 1s;
  std::string access_interface;     // rtpengine's name for its side towards user agents; or empty
  std::string network_interface;    // and towards next hops
  bool private_candidates = false;  // name hosts inside to user agents, beside public addresses
  bool slim = true;                 // drop from SDP what a plain phone has no use for
  friend bool operator==(const MediaConfig&, const MediaConfig&) = default;
};

struct AdminConfig {
  bool enabled = false;
  Endpoint address;        // loopback by default
  std::string token_file;  // its first line must come with commands, unless address is loopback
  std::vector<std::string> names;  // by which it may be asked, beside its address and localhost
  friend bool operator==(const AdminConfig&, const AdminConfig&) = default;
};

struct CtlConfig {
  std::string socket;  // path; empty: control.sock in the folder that systemd made, else none
  std::string group;   // whose members may command; empty: the user's own
  friend bool operator==(const CtlConfig&, const CtlConfig&) = default;
};

struct LimitsConfig {  // each for one shard unless it says so
  std::uint32_t flows = 20'000;
  std::uint32_t transactions = 1'048'576;  // server transactions, finished ones included
  std::uint32_t client_transactions = 262'144;
  std::uint32_t contexts = 131'072;  // requests being forwarded
  std::uint32_t bindings = 65'536;
  std::uint32_t dialogs = 65'536;
  std::uint64_t buffer_bytes = std::uint64_t{1} << 30;
  std::uint32_t handshakes = 256;            // TLS handshakes at one time
  std::uint32_t send_queue_bytes = 262'144;  // of one flow
  std::uint32_t flows_per_source = 4'096;    // of one address
  // Media sessions of unanswered calls whose caller has not registered.
  std::uint32_t guest_media_per_flow = 4;
  std::uint32_t guest_media_per_source = 32;  // of one address
  std::uint32_t bans = 1'048'576;            // remembered, for all shards together
  friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

struct TimersConfig {
  Duration t1 = 500ms, t2 = 4s, t4 = 5s;  // RFC 3261 17
  Duration timer_c = 185s;                // RFC 3261 16.6: above three minutes
  Duration first_answer = 5s;             // a next hop that says nothing: try the next one
  Duration grace = 12s;                   // a user agent that is gone may return
  bool release_after_grace = true;        // then end its calls towards the far end
  Duration websocket_ping = 10s;          // after so long without a byte
  Duration websocket_pong = 4s;           // for the answer; then the connection is gone
  Duration call_longest = std::chrono::hours(24);  // a call that nobody ends is ended then
  Duration handshake = 5s;                // TLS and the upgrade
  Duration message = 10s;                 // from a message's first byte to its last
  Duration idle_connection = 120s;        // TCP and TLS without a keepalive or a message
  Duration connect = 2s;                  // to a next hop
  Duration drain = 30s;                   // after SIGTERM
  friend bool operator==(const TimersConfig&, const TimersConfig&) = default;
};

// Who is kept out, and when.
struct BansConfig {
  bool enabled = true;
  std::uint32_t failures = 10;   // of one source within that time
  Duration within = 600s;
  std::vector<std::string> lasting = {"1m", "10m", "1h", "24h"};  // first, second, ... ban
  std::vector<std::string> allow;        // prefixes that are never kept out
  std::vector<std::string> block;        // prefixes that always are
  std::vector<std::string> block_files;  // with one prefix a line
  friend bool operator==(const BansConfig&, const BansConfig&) = default;
};

// How much is done for whom on the access side, where nobody calls without having registered.
struct BudgetsConfig {
  bool enabled = true;
  std::uint8_t attempts = 4;             // of a flow that has shown no success
  std::uint32_t rate = 200;              // new requests a second of a flow that has,
  std::uint32_t burst = 1'000;           // and at once
  std::uint32_t source_rate = 100;       // of an address, by flows that have not shown any
  std::uint32_t source_burst = 1'000;    // ten times as much once one of them has
  friend bool operator==(const BudgetsConfig&, const BudgetsConfig&) = default;
};

// What calls of the access side may cost: one rule of [[fraud]]. Of all rules that are for the
// caller and in force the one with the longest matching prefix decides.
struct FraudConfig {
  std::string name;                    // for logs
  std::vector<std::string> prefixes;   // of the called number, "+" for "00"; none: every number
  std::string prefix_file;             // one a line beside those; empty: none
  std::vector<std::string> accounts;   // AORs; none: each account for itself
  std::vector<std::string> sources;    // prefixes; none: all
  std::string from, to;                // in force between these times of day; empty: always
  std::vector<std::string> days;       // and on these days the whole day
  bool deny = false;
  std::uint32_t calls = 0;             // of one account at a time; 0: no limit, as below
  std::uint32_t calls_a_minute = 0;
  std::uint32_t minutes_a_day = 0;
  Duration longest{};                  // of one call
  friend bool operator==(const FraudConfig&, const FraudConfig&) = default;
};

// What is refused when a shard has more to do than it can.
struct OverloadConfig {
  bool enabled = true;
  Duration lag = 200ms;  // so late may a shard be with its turns before it refuses new calls
  friend bool operator==(const OverloadConfig&, const OverloadConfig&) = default;
};

// The process itself.
struct ProcessConfig {
  std::string user;     // that root becomes after the start; empty: stays what it is
  bool seccomp = true;  // only the system calls that are needed
  friend bool operator==(const ProcessConfig&, const ProcessConfig&) = default;
};

// Whether answers tell strangers who has an account.
struct AnswersConfig {
  bool alike = false;  // refusals of registrations and calls look the same for all
  Duration refuse_after = 250ms;  // with alike: no refusal of a stranger leaves earlier
  friend bool operator==(const AnswersConfig&, const AnswersConfig&) = default;
};

struct PageConfig {
  std::string directory;  // static files served on WSS ports; empty: none
  friend bool operator==(const PageConfig&, const PageConfig&) = default;
};

struct Config {
  std::uint16_t shards = 0;  // 0: one for each core
  bool pin = true;           // each shard to its core
  KernelKind reactor = KernelKind::Auto;
  bool udp_trains = true;  // many datagrams of one size to one peer may leave in one send
  std::string key_file;    // 32 bytes or more; signs tokens; empty: new at each start
  std::uint8_t node = 0;   // which of the gateways that share the key, 1..15; 0: by host_name
  std::string host_name;   // of this machine, not from the file; may be empty
  LogLevel log_level = LogLevel::Info;
  std::string log_format = "auto";  // auto, json or text; auto: text on a terminal
  std::string server_name;          // Server and User-Agent of our own messages; empty: none
  bool filter = true;
  std::string filter_file;                 // empty: the built-in list (configs/scanners.toml)
  std::string filter_extra_file;           // rules beside those; empty: none
  std::vector<std::string> filter_exempt;  // prefixes that the filter never judges
  std::vector<std::string> nameservers;    // empty: the system's
  std::uint32_t max_breadth = 60;
  bool force_rport = true;  // answer UDP requests to their source port in any case

  std::vector<ListenConfig> listen;  // at least one; while it runs, twins too (add_tcp_twins)
  std::vector<CertificateConfig>
      certificates;  // offered by every TLS and WSS listener, after its own
  std::vector<NextHopConfig> next_hops;
  std::vector<TrustedConfig> trusted;
  std::vector<HeaderRuleConfig> header_rules;
  MediaConfig media;
  AdminConfig admin;
  CtlConfig ctl;
  LimitsConfig limits;
  TimersConfig timers;
  PageConfig page;
  BansConfig bans;
  BudgetsConfig budgets;
  std::vector<FraudConfig> fraud;
  OverloadConfig overload;
  ProcessConfig process;
  AnswersConfig answers;
  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace ringway
