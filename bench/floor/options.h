#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <string>

namespace ringway::floor {

enum class Mode { UdpUdp, TcpUdp, WssUdp };

// How a datagram leaves. Ring keeps its buffer until the completion; RingSkip sends with
// MSG_DONTWAIT and IOSQE_CQE_SKIP_SUCCESS, so that the buffer is free when the submission returns;
// RingAddress is that as a send with an address, so that the kernel reads no msghdr; Inline is one
// sendmsg(2) each; Sendmmsg is one call for a batch; Train gathers a turn's datagrams of one size
// from one socket to one peer, which the kernel cuts apart again (UDP_SEGMENT).
enum class Send { Ring, RingSkip, RingAddress, Inline, Sendmmsg, Train };

struct Options {
  Mode mode = Mode::UdpUdp;
  Send send = Send::RingAddress;
  unsigned batch = 0;  // datagrams for one submission; 0: all of a turn
  int cpu = -1;
  sockaddr_in listen{};
  sockaddr_in server{};
  std::string certificate;
  std::string key;
  std::size_t buffer_size = 2048;
  std::size_t buffer_stride = 2048;
  unsigned buffer_count = 512;
  bool direct = false;        // streams: connections are direct descriptors
  bool defer_accept = false;  // streams: TCP_DEFER_ACCEPT
};

// Each runs until SIGINT or SIGTERM and then prints one JSON line of counters.
void run_udp(const Options& options);
void run_stream(const Options& options);

// True once a signal asked the program to end.
bool stopping();

}  // namespace ringway::floor
