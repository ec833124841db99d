#pragma once

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/load/answering_side.h"
#include "bench/load/channel.h"
#include "bench/load/sip_text.h"
#include "bench/load/statistics.h"
#include "bench/load/stream_channel.h"
#include "bench/load/websockets_channel.h"

namespace ringway::load {

// The calling user agents: their flows, and one unit of work (a transaction or a call) for each
// slot. A branch carries flow, slot and generation, so an answer finds its unit without a search.
class Agent : public ChannelUser {
 public:
  Agent(Loop& loop, const Options& options, AnsweringSide* answering);
  ~Agent() override;

  // Starts connecting flows up to this many; UDP flows are open when it returns.
  void open_flows(unsigned count);
  void drop_all();

  // Starts one unit on the next open flow; false without a flow or a free slot. intended is the
  // moment from which latency counts.
  bool start(std::uint64_t intended);
  // Retransmits, gives up on the old and sends the BYEs that are due.
  void tick(std::uint64_t now);
  // The measured window starts here: forgets what was counted.
  void reset_statistics();
  // Everything still waiting counts as lost.
  void give_up();

  unsigned open_count() const { return open_count_; }
  unsigned connecting() const { return connecting_; }
  unsigned registered() const { return registered_; }
  unsigned active() const { return active_; }
  Statistics& statistics() { return statistics_; }
  Histogram& interval() { return interval_; }
  // After the end of a unit start the next at once.
  bool closed_loop = false;
  // Close each connection as soon as it is open (handshake mode).
  bool handshake_only = false;
  bool register_flows = false;

  void channel_opened(Channel& channel) override;
  void channel_received(Channel& channel, std::string_view text, const Address* source) override;
  void channel_closed(Channel& channel) override;

 private:
  enum class State : std::uint8_t { Free, Waiting, Proceeding, Hold, Bye };

  struct Flow {
    std::unique_ptr<Channel> channel;
    std::string tag;      // eight hex digits
    std::string via;      // up to and without the branch
    std::string contact;  // header value
    std::string user;
    std::uint64_t connect_started = 0;
    bool connecting = false;
    bool registered = false;
  };

  struct Unit {
    State state = State::Free;
    bool registering = false;  // a flow's own REGISTER, not load
    std::uint16_t generation = 0;
    std::uint32_t flow = 0;
    std::uint64_t intended = 0;
    std::uint64_t sent = 0;  // of the request that waits
    std::uint64_t retransmit_at = 0;
    std::uint64_t interval = 0;
    std::string request;  // for retransmission, on UDP
    std::string remote;   // To value with tag, of a call
    std::string target;   // remote Contact
    std::string routes;   // Route header lines
    Address next_hop;     // of in-dialog requests; size 0: the target
  };

  void make_channel(std::size_t index);
  void describe(Flow& flow, std::size_t index);
  bool begin(std::uint32_t flow, std::uint64_t intended, bool registering);
  void send_request(std::uint32_t slot, std::string_view method);
  void write_request(std::uint32_t slot, std::string_view method, char kind);
  void handle_response(Flow& flow);
  void handle_final(std::uint32_t slot, char kind);
  void answer_invite(std::uint32_t slot);
  void send_bye(std::uint32_t slot);
  void finish(std::uint32_t slot, bool success);
  void lose(std::uint32_t slot);
  void set_next_hop(Unit& unit, std::string_view first_route);

  Loop& loop_;
  const Options& options_;
  AnsweringSide* answering_;
  std::unique_ptr<WebSocketsClient> websockets_;
  std::unique_ptr<TlsClient> tls_;
  std::vector<Flow> flows_;
  std::vector<std::unique_ptr<Channel>> graveyard_;  // closed; freed by the next tick
  std::vector<Unit> units_;
  std::vector<std::uint32_t> free_;
  std::deque<std::uint32_t> holding_;
  std::uint32_t next_flow_ = 0;
  std::size_t next_open_ = 0;
  std::uint32_t salt_;
  unsigned open_count_ = 0;
  unsigned connecting_ = 0;
  unsigned registered_ = 0;
  unsigned active_ = 0;
  bool reliable_;
  std::string sdp_;
  std::string out_;
  Message message_;
  Statistics statistics_;
  Histogram interval_;
};

}  // namespace ringway::load
