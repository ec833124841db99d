#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/ascii.h"

// OpenSSL alone: both ends of TLS 1.3 handshakes in one process over memory, the server's end timed
// by itself, and what one idle session of the server holds. The settings are the product's.

namespace {

constexpr char kHelp[] = R"(ringway-handshake-floor: OpenSSL alone, in memory.

  ringway-handshake-floor --certificate FILE --key FILE [--count N] [--sessions N] [--cpu N]

Prints one JSON line: CPU microseconds of the server's half of a full and of a resumed TLS 1.3
handshake (X25519, AES-128-GCM, one ticket), and the heap bytes that one idle session of the server
holds after an exchange of 600 bytes, with released buffers.
)";

std::int64_t live_bytes = 0;

void* counted_malloc(std::size_t size, const char*, int) {
  void* memory = std::malloc(size);
  if (memory != nullptr) live_bytes += static_cast<std::int64_t>(malloc_usable_size(memory));
  return memory;
}
void counted_free(void* memory, const char*, int) {
  if (memory != nullptr) live_bytes -= static_cast<std::int64_t>(malloc_usable_size(memory));
  std::free(memory);
}
void* counted_realloc(void* memory, std::size_t size, const char* file, int line) {
  if (memory == nullptr) return counted_malloc(size, file, line);
  live_bytes -= static_cast<std::int64_t>(malloc_usable_size(memory));
  void* grown = std::realloc(memory, size);
  if (grown != nullptr) live_bytes += static_cast<std::int64_t>(malloc_usable_size(grown));
  return grown;
}

std::uint64_t thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// Bytes on their way to this end. A BIO without memory of OpenSSL's.
struct Wire {
  std::string incoming;
  Wire* peer = nullptr;
};

int wire_read(BIO* bio, char* data, std::size_t size, std::size_t* done) {
  auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (wire.incoming.empty()) {
    BIO_set_retry_read(bio);
    return 0;
  }
  *done = std::min(size, wire.incoming.size());
  std::memcpy(data, wire.incoming.data(), *done);
  wire.incoming.erase(0, *done);
  return 1;
}
int wire_write(BIO* bio, const char* data, std::size_t size, std::size_t* done) {
  static_cast<Wire*>(BIO_get_data(bio))->peer->incoming.append(data, size);
  *done = size;
  return 1;
}
long wire_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH;
}

struct End {
  SSL* ssl;
  Wire wire;
  End(SSL_CTX* context, BIO_METHOD* method) : ssl(SSL_new(context)) {
    BIO* bio = BIO_new(method);
    BIO_set_data(bio, &wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  ~End() {
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
  }
};

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "ringway-handshake-floor: %s\n", what);
  ERR_print_errors_fp(stderr);
  std::exit(1);
}

// Runs both ends to the end; the CPU time of the server's steps. The client reads the ticket.
std::uint64_t handshake(End& client, End& server) {
  client.wire.peer = &server.wire;
  server.wire.peer = &client.wire;
  SSL_set_connect_state(client.ssl);
  SSL_set_accept_state(server.ssl);
  std::uint64_t spent = 0;
  for (int turns = 0; turns < 8; ++turns) {
    SSL_do_handshake(client.ssl);
    const std::uint64_t before = thread_cpu_ns();
    SSL_do_handshake(server.ssl);
    spent += thread_cpu_ns() - before;
    if (SSL_is_init_finished(client.ssl) && SSL_is_init_finished(server.ssl)) {
      char byte;
      SSL_read(client.ssl, &byte, 1);
      return spent;
    }
  }
  die("handshake does not end");
}

void exchange(End& client, End& server) {
  char bytes[600] = {};
  for (int i = 0; i < 2; ++i) {
    if (SSL_write(client.ssl, bytes, sizeof bytes) <= 0 ||
        SSL_read(server.ssl, bytes, sizeof bytes) <= 0 ||
        SSL_write(server.ssl, bytes, sizeof bytes) <= 0 ||
        SSL_read(client.ssl, bytes, sizeof bytes) <= 0) {
      die("exchange");
    }
  }
}

SSL_SESSION* newest = nullptr;

struct Setup {
  std::string certificate, key;
  unsigned count = 1000;
  unsigned sessions = 200;
};

double median(std::vector<std::uint64_t>& values) {
  std::sort(values.begin(), values.end());
  return static_cast<double>(values[values.size() / 2]) * 1e-3;
}

void run(const Setup& setup) {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
  BIO_meth_set_read_ex(method, wire_read);
  BIO_meth_set_write_ex(method, wire_write);
  BIO_meth_set_ctrl(method, wire_control);

  SSL_CTX* server = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(server, setup.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(server, setup.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    die("cannot read certificate and key");
  }
  SSL_CTX* client = SSL_CTX_new(TLS_client_method());
  for (SSL_CTX* context : {server, client}) {
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set1_groups_list(context, "X25519:P-256");
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  }
  SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(server, 1);
  SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(client, [](SSL*, SSL_SESSION* session) {
    SSL_SESSION_free(newest);
    newest = session;
    return 1;
  });

  std::vector<std::uint64_t> full;
  std::vector<std::uint64_t> resumed;
  for (unsigned i = 0; i < setup.count; ++i) {
    {
      End a(client, method), b(server, method);
      full.push_back(handshake(a, b));
    }
    End a(client, method), b(server, method);
    SSL_set_session(a.ssl, newest);
    resumed.push_back(handshake(a, b));
    if (!SSL_session_reused(a.ssl)) die("not resumed");
  }

  // Only the server's ends count: what the client's allocate is taken out by making those first.
  std::int64_t held = 0;
  std::vector<std::unique_ptr<End>> ends;
  for (unsigned i = 0; i < setup.sessions; ++i) {
    auto a = std::make_unique<End>(client, method);
    auto b = std::make_unique<End>(server, method);
    handshake(*a, *b);
    exchange(*a, *b);
    ends.push_back(std::move(b));
    ends.back()->wire.peer = nullptr;
  }
  const std::int64_t with = live_bytes;
  ends.clear();
  held = with - live_bytes;

  std::printf(
      "{\"full_us\": %.2f, \"resumed_us\": %.2f, \"idle_session_bytes\": %lld, \"openssl\": "
      "\"%s\"}\n",
      median(full), median(resumed),
      static_cast<long long>(held / static_cast<std::int64_t>(setup.sessions)),
      OpenSSL_version(OPENSSL_VERSION));
}

}  // namespace

int main(int argc, char** argv) {
  CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free);
  Setup setup;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--help" || i + 1 == argc) {
      std::fputs(kHelp, name == "--help" ? stdout : stderr);
      return name == "--help" ? 0 : 2;
    }
    const char* value = argv[++i];
    const auto number = ringway::ascii::parse_number(value, 1'000'000);
    if (name == "--certificate") {
      setup.certificate = value;
    } else if (name == "--key") {
      setup.key = value;
    } else if (name == "--count" && number && *number > 0) {
      setup.count = *number;
    } else if (name == "--sessions" && number && *number > 0) {
      setup.sessions = *number;
    } else if (name == "--cpu" && number) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(*number, &set);
      sched_setaffinity(0, sizeof set, &set);
    } else {
      std::fputs(kHelp, stderr);
      return 2;
    }
  }
  run(setup);
  return 0;
}
