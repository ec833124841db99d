#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The little SIP that a load generator needs: messages are read leniently and only as far as a user
// agent must. Everything borrowed points into the message.

namespace ringway::load {

struct Header {
  std::string_view name;   // as written
  std::string_view value;  // without surrounding space
};

// True if the header has this long or compact name ("Via", 'v'); compact may be NUL.
bool is_header(const Header& header, std::string_view name, char compact);

struct Message {
  bool is_request = false;
  std::string_view method;       // of a request
  std::string_view request_uri;  // of a request
  int status = 0;                // of a response
  std::vector<Header> headers;
  std::string_view body;

  // The first value, or an empty view.
  std::string_view find(std::string_view name, char compact) const;
};

// False if the start line or a header line makes no sense. message is reused to spare allocations.
bool read_message(std::string_view text, Message& message);

// Bytes of the first message of a stream; 0 if it is not complete, npos if it never will be
// (too large, or no sensible length).
std::size_t framed_size(std::string_view stream);

// The value of ;name= or ;name in a header value, past the end of any <uri>; empty if absent.
std::string_view header_parameter(std::string_view value, std::string_view name);
// The URI inside <> or the bare address.
std::string_view address_uri(std::string_view value);
// host and port of a sip URI, sips too; port 0 if not named.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
HostPort uri_host_port(std::string_view uri);

// Appends the response to request: Via, From, To with tag, Call-ID, CSeq and Record-Route copied.
// source ("ADDRESS", port) fills an empty rport (RFC 3581 4). contact may be empty, body is SDP.
struct ResponseParts {
  int status = 200;
  std::string_view reason = "OK";
  std::string_view to_tag;
  std::string_view contact;
  std::string_view body;
  std::string_view source_address;
  std::uint16_t source_port = 0;
};
void write_response(const Message& request, const ResponseParts& parts, std::string& out);

// An audio offer or answer as a browser's gateway sees it from a phone; address is IPv4 text.
std::string make_sdp(std::string_view address);

}  // namespace ringway::load
