#include "bench/load/answering_side.h"

#include <openssl/err.h>

#include <cstdio>
#include <cstdlib>
#include <functional>

namespace ringway::load {
namespace {

std::string contact_of(const Address& address, const char* parameters) {
  std::string contact = "<sip:answer@";
  contact.append(host_port(address)).append(parameters).append(">");
  return contact;
}

SSL_CTX* server_context(const Options& options) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    std::exit(1);
  }
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

}  // namespace

AnsweringSide::AnsweringSide(Loop& loop, const Options& options) {
  std::string host = "127.0.0.1";
  if (options.answer_udp.size != 0) {
    udp_ = std::make_unique<UdpChannel>(loop, *this, options.answer_udp, &options.answer_udp);
    udp_contact_ = contact_of(udp_->local(), "");
    host = options.answer_udp.text;
  }
  if (options.answer_tcp.size != 0) {
    tcp_ = std::make_unique<StreamListener>(loop, *this, options.answer_tcp, nullptr);
    stream_contact_ = contact_of(options.answer_tcp, ";transport=tcp");
    host = options.answer_tcp.text;
  }
  if (options.answer_tls.size != 0) {
    tls_context_ = server_context(options);
    tls_ = std::make_unique<StreamListener>(loop, *this, options.answer_tls, tls_context_);
    stream_contact_ = contact_of(options.answer_tls, ";transport=tls");
    host = options.answer_tls.text;
  }
  sdp_ = make_sdp(host);
}

AnsweringSide::~AnsweringSide() {
  SSL_CTX_free(tls_context_);
}

void AnsweringSide::channel_received(Channel& channel, std::string_view text,
                                     const Address* source) {
  if (!read_message(text, message_) || !message_.is_request) return;
  answer(channel, message_, source, source != nullptr ? udp_contact_ : stream_contact_);
}

void AnsweringSide::answer(Channel& channel, const Message& request, const Address* source,
                           const std::string& contact) {
  ++requests_;
  if (request.method == "ACK") return;
  // Only an empty rport asks for the source; the text is made only then.
  Address seen;
  const std::string_view via = request.find("Via", 'v');
  if (source != nullptr && via.find(";rport") != via.npos) {
    seen = *source;
    fill_numeric(seen);
  }
  char tag[17];
  std::snprintf(tag, sizeof tag, "%016zx",
                std::hash<std::string_view>()(request.find("Call-ID", 'i')));
  ResponseParts parts;
  parts.to_tag = tag;
  parts.source_address = seen.text;
  parts.source_port = seen.port;
  if (request.method == "INVITE") {
    parts.contact = contact;
    parts.status = 180;
    parts.reason = "Ringing";
    response_.clear();
    write_response(request, parts, response_);
    channel.send(response_, source);
    parts.status = 200;
    parts.reason = "OK";
    parts.body = sdp_;
  } else if (request.method == "REGISTER") {
    parts.contact = request.find("Contact", 'm');
  } else if (request.method == "CANCEL") {
    parts.status = 481;  // the INVITE was answered at once
    parts.reason = "Call/Transaction Does Not Exist";
  }
  response_.clear();
  write_response(request, parts, response_);
  channel.send(response_, source);
}

}  // namespace ringway::load
