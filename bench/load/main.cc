#include <sys/prctl.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>

#include "bench/load/options.h"
#include "bench/load/run.h"
#include "bench/pin.h"

int main(int argc, char** argv) {
  using namespace ringway::load;
  Options options = parse_options(argc, argv);
  // Connections that a handshake run may have at a time.
  if (options.mode == Mode::Handshake) {
    options.flows = options.concurrency > 0 ? options.concurrency : 4096;
  }
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_TIMERSLACK, 1000);
  if (options.cpu >= 0 && !ringway::bench::pin(static_cast<unsigned>(options.cpu))) {
    std::perror("ringway-load: --cpu");
  }
  return Run(options).run();
}
