#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/pin.h"
#include "protocol/base/ascii.h"

// OpenSSL alone: both ends of TLS 1.3 handshakes in one process over memory, the server's end timed
// by itself, and what one idle session of the server holds. The settings are the product's.

namespace {

constexpr char kHelp[] = R"(ringway-handshake-floor: OpenSSL alone, in memory.

  ringway-handshake-floor --certificate FILE --key FILE [--count N] [--sessions N] [--cpu N]
                          [--threads N] [--own-library-context]

Prints one JSON line: CPU microseconds of the server's half of a full and of a resumed TLS 1.3
handshake (X25519, AES-128-GCM, one ticket), of each step of a full one (median and the slowest of a
hundred), and the heap bytes that one idle session of the server holds after an exchange of 600
bytes, with released buffers.

With more than one thread (on cores N, N + 1 ...) each does the same work at once, and only the
times are given, for a thread. --own-library-context: an OSSL_LIB_CTX for each thread.
)";

thread_local std::int64_t live_bytes = 0;

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

// CPU nanoseconds of the server's steps, in their order; more than two only if it went wrong.
using Steps = std::vector<std::uint64_t>;

// Runs both ends to the end. The client reads the ticket.
Steps handshake(End& client, End& server) {
  client.wire.peer = &server.wire;
  server.wire.peer = &client.wire;
  SSL_set_connect_state(client.ssl);
  SSL_set_accept_state(server.ssl);
  Steps steps;
  for (int turns = 0; turns < 8; ++turns) {
    SSL_do_handshake(client.ssl);
    const std::uint64_t before = thread_cpu_ns();
    SSL_do_handshake(server.ssl);
    steps.push_back(thread_cpu_ns() - before);
    if (SSL_is_init_finished(client.ssl) && SSL_is_init_finished(server.ssl)) {
      char byte;
      SSL_read(client.ssl, &byte, 1);
      return steps;
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

thread_local SSL_SESSION* newest = nullptr;

struct Setup {
  std::string certificate, key;
  unsigned count = 1000;
  unsigned sessions = 200;
  unsigned cpu = ~0u;  // the scheduler's choice
  unsigned threads = 1;
  bool own_library_context = false;
};

// In microseconds.
double quantile(std::vector<std::uint64_t> values, unsigned percent) {
  std::sort(values.begin(), values.end());
  return static_cast<double>(values[values.size() * percent / 100]) * 1e-3;
}

struct Contexts {
  OSSL_LIB_CTX* library = nullptr;  // null: the default one
  SSL_CTX* server = nullptr;
  SSL_CTX* client = nullptr;
};

Contexts make_contexts(const Setup& setup) {
  Contexts made;
  if (setup.own_library_context) made.library = OSSL_LIB_CTX_new();
  SSL_CTX* server = SSL_CTX_new_ex(made.library, nullptr, TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(server, setup.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(server, setup.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    die("cannot read certificate and key");
  }
  SSL_CTX* client = SSL_CTX_new_ex(made.library, nullptr, TLS_client_method());
  // The client offers what OpenSSL's do, which a session of the server remembers; the server chooses.
  for (SSL_CTX* context : {server, client}) SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set1_groups_list(server, "X25519:P-256");
  SSL_CTX_set_ciphersuites(server, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_min_proto_version(server, TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(server, 1);
  SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(client, [](SSL*, SSL_SESSION* session) {
    SSL_SESSION_free(newest);
    newest = session;
    return 1;
  });

  made.server = server;
  made.client = client;
  return made;
}

struct Times {
  std::vector<std::uint64_t> full, first_step, last_step, resumed;
};

Times measure(const Setup& setup, const Contexts& contexts, BIO_METHOD* method) {
  Times times;
  for (unsigned i = 0; i < setup.count; ++i) {
    {
      End a(contexts.client, method), b(contexts.server, method);
      const Steps steps = handshake(a, b);
      times.full.push_back(std::accumulate(steps.begin(), steps.end(), std::uint64_t{0}));
      times.first_step.push_back(steps.front());
      times.last_step.push_back(steps.back());
    }
    End a(contexts.client, method), b(contexts.server, method);
    SSL_set_session(a.ssl, newest);
    const Steps steps = handshake(a, b);
    times.resumed.push_back(std::accumulate(steps.begin(), steps.end(), std::uint64_t{0}));
    if (!SSL_session_reused(a.ssl)) die("not resumed");
  }
  return times;
}

// Heap bytes of one idle session of the server.
std::int64_t idle_bytes(const Setup& setup, const Contexts& contexts, BIO_METHOD* method) {
  // Only the server's ends count: what the client's allocate is taken out by making those first.
  std::vector<std::unique_ptr<End>> ends;
  for (unsigned i = 0; i < setup.sessions; ++i) {
    auto a = std::make_unique<End>(contexts.client, method);
    auto b = std::make_unique<End>(contexts.server, method);
    handshake(*a, *b);
    exchange(*a, *b);
    ends.push_back(std::move(b));
    ends.back()->wire.peer = nullptr;
  }
  const std::int64_t with = live_bytes;
  ends.clear();
  return (with - live_bytes) / static_cast<std::int64_t>(setup.sessions);
}

void run(const Setup& setup) {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
  BIO_meth_set_read_ex(method, wire_read);
  BIO_meth_set_write_ex(method, wire_write);
  BIO_meth_set_ctrl(method, wire_control);

  Times times;
  std::int64_t idle = 0;
  if (setup.threads == 1) {
    if (setup.cpu != ~0u) ringway::bench::pin(setup.cpu);
    const Contexts contexts = make_contexts(setup);
    times = measure(setup, contexts, method);
    idle = idle_bytes(setup, contexts, method);
  } else {
    std::vector<Times> found(setup.threads);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < setup.threads; ++i) {
      threads.emplace_back([&, i] {
        if (setup.cpu != ~0u) ringway::bench::pin(setup.cpu + i);
        found[i] = measure(setup, make_contexts(setup), method);
      });
    }
    for (std::thread& thread : threads) thread.join();
    times = std::move(found.front());
  }
  std::printf(
      "{\"full_us\": %.2f, \"first_step_us\": [%.2f, %.2f], \"last_step_us\": [%.2f, %.2f], "
      "\"resumed_us\": %.2f, \"idle_session_bytes\": %lld, \"openssl\": \"%s\"}\n",
      quantile(times.full, 50), quantile(times.first_step, 50), quantile(times.first_step, 99),
      quantile(times.last_step, 50), quantile(times.last_step, 99), quantile(times.resumed, 50),
      static_cast<long long>(idle), OpenSSL_version(OPENSSL_VERSION));
}

}  // namespace

int main(int argc, char** argv) {
  CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free);
  Setup setup;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--own-library-context") {
      setup.own_library_context = true;
      continue;
    }
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
    } else if (name == "--threads" && number && *number > 0 && *number <= 64) {
      setup.threads = *number;
    } else if (name == "--cpu" && number) {
      setup.cpu = *number;
    } else {
      std::fputs(kHelp, stderr);
      return 2;
    }
  }
  run(setup);
  return 0;
}
