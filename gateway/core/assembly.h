#pragma once

#include "gateway/core/admission_check.h"
#include "gateway/core/asker_recovery.h"
#include "gateway/core/branch_cancels.h"
#include "gateway/core/branch_results.h"
#include "gateway/core/call_owner.h"
#include "gateway/core/call_release.h"
#include "gateway/core/commands.h"
#include "gateway/core/deadlines.h"
#include "gateway/core/filter_check.h"
#include "gateway/core/flow_recovery.h"
#include "gateway/core/fraud_check.h"
#include "gateway/core/message_intake.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/relay_events.h"
#include "gateway/core/relay_watch.h"
#include "gateway/core/request_checks.h"
#include "gateway/core/request_sender.h"
#include "gateway/core/request_steps.h"
#include "gateway/core/requests.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/response_steps.h"
#include "gateway/core/responses.h"
#include "gateway/core/route_reader.h"
#include "gateway/core/stun_server.h"
#include "gateway/core/tarpit.h"
#include "gateway/core/transport_errors.h"
#include "gateway/peers/header_rules.h"
#include "gateway/peers/peer_table.h"
#include "gateway/peers/targets.h"

namespace ringway {

// The parts in the order of a message's way; each knows only those above it. What one leaves for
// those below it waits in a queue of its own until settle().
struct Assembly {
  explicit Assembly(CoreEnvironment& environment);

  // What a step has left for others: each of these may leave more.
  void settle(Instant now, Outbox& outbox);

  Services core;
  Flows flows;
  TransactionLayer transactions;
  NextHopSet next_hops;
  ContextTable contexts;
  PeerTable peers;
  Targets places;
  HeaderRules header_rules;
  Registrations registrations;
  RelaySet relays;
  Calls calls;
  RelayWatch relay_watch;
  MediaSteps media;
  DtmfSteps dtmf;
  Probes probes;
  Replies replies;
  Router router;
  PeerCheck peer_check;
  SourceGate open_gate;
  SourceGate& gate;
  AdmissionCheck admission;
  FraudCheck fraud;
  BranchCancels cancels;
  ResponseSender response_sender;
  BranchResults results;
  AskerRecovery askers;
  ResponseSteps response_steps;
  Responses responses;
  RouteReader routes;
  CallOwner owner;
  RequestChecks checks;
  RequestSender request_sender;
  RequestSteps request_steps;
  CallRelease release;
  Requests requests;
  StunServer stun;
  Tarpit tarpit;
  FilterCheck filter;
  MessageIntake intake;
  FlowRecovery recovery;
  TransportErrors transport_errors;
  RelayEvents relay_events;
  Deadlines deadlines;
  Commands commands;
};

}  // namespace ringway
