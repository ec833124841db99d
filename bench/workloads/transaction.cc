#include "bench/workloads/workload.h"
#include "protocol/transaction/invite_client.h"
#include "protocol/transaction/invite_server.h"
#include "protocol/transaction/non_invite_client.h"
#include "protocol/transaction/non_invite_server.h"

namespace ringway::bench {
namespace {

using transaction::Actions;
using transaction::InviteClient;
using transaction::InviteServer;
using transaction::NonInviteClient;
using transaction::NonInviteServer;
using transaction::Reliability;

// Both machines of a proxied transaction, from the request to the end of the lingering.
class NonInvite : public Workload {
 public:
  std::string_view name() const override { return "machines_non_invite"; }
  void once() override {
    NonInviteServer server;
    NonInviteClient client;
    take(server.start(timers_, Reliability::Unreliable));
    take(client.start(timers_, Reliability::Unreliable));
    take(client.receive(NonInviteClient::Event::Final, timers_, Reliability::Unreliable));
    take(server.receive(NonInviteServer::Event::Final, timers_, Reliability::Unreliable));
    take(client.receive(NonInviteClient::Event::LifetimeTimer, timers_, Reliability::Unreliable));
    take(server.receive(NonInviteServer::Event::LifetimeTimer, timers_, Reliability::Unreliable));
    require(server.state() == NonInviteServer::State::Terminated, "machines: not over");
  }

 private:
  static void take(const Actions& actions) { keep(actions.size()); }
  transaction::Timers timers_;
};

class Invite : public Workload {
 public:
  std::string_view name() const override { return "machines_invite"; }
  void once() override {
    InviteServer server;
    InviteClient client;
    take(server.start(timers_, Reliability::Reliable));
    take(client.start(timers_, Reliability::Unreliable));
    take(client.receive(InviteClient::Event::Provisional, timers_, Reliability::Unreliable));
    take(server.receive(InviteServer::Event::Provisional, timers_, Reliability::Reliable));
    take(client.receive(InviteClient::Event::Final2xx, timers_, Reliability::Unreliable));
    take(server.receive(InviteServer::Event::Final2xx, timers_, Reliability::Reliable));
    take(client.receive(InviteClient::Event::LifetimeTimer, timers_, Reliability::Unreliable));
    take(server.receive(InviteServer::Event::LifetimeTimer, timers_, Reliability::Reliable));
    require(server.state() == InviteServer::State::Terminated, "machines: not over");
  }

 private:
  static void take(const Actions& actions) { keep(actions.size()); }
  transaction::Timers timers_;
};

}  // namespace

void add_transaction(Workloads& workloads) {
  workloads.push_back(std::make_unique<NonInvite>());
  workloads.push_back(std::make_unique<Invite>());
}

}  // namespace ringway::bench
