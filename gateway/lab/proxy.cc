#include "gateway/lab/proxy.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "gateway/lab/journal.h"
#include "gateway/lab/numbers.h"
#include "protocol/base/ascii.h"

namespace ringway::lab {
namespace {

constexpr int kMaxForwards = 70;

std::string_view text_of(const char* text) {
  return text != nullptr ? text : "";
}

// Order in which final responses of several branches are preferred (RFC 3261 16.7 step 6): a 6xx
// ends the search, then the lowest; what only says that a binding is gone comes last.
int preference(int status) {
  if (status >= 600) return 0;
  if (status == 408 || status == 430 || status == 503) return 1000 + status;
  return status;
}

}  // namespace

struct Proxy::Branch {
  Forwarding* forwarding = nullptr;
  nta_outgoing_t* outgoing = nullptr;
  Target target;
  bool finished = false;
};

// One request on its way to one or more targets. Lives until each branch has its final response.
struct Proxy::Forwarding {
  Proxy* proxy = nullptr;
  nta_incoming_t* incoming = nullptr;
  std::vector<std::unique_ptr<Branch>> branches;
  bool answered = false;  // a final response went to the caller
  int best_status = 0;
  msg_t* best = nullptr;  // may be null although best_status is set: nothing came from the wire

  ~Forwarding() {
    if (best != nullptr) msg_destroy(best);
    if (incoming != nullptr) nta_incoming_destroy(incoming);
    for (const auto& branch : branches) {
      if (branch->outgoing != nullptr) nta_outgoing_destroy(branch->outgoing);
    }
  }
  void cancel_all() {
    for (const auto& branch : branches) {
      if (!branch->finished) nta_outgoing_tcancel(branch->outgoing, nullptr, nullptr, TAG_END());
    }
  }
};

Proxy::Proxy(su_root_t* root, Options options, Registrar& registrar)
    : options_(std::move(options)), registrar_(registrar) {
  const bool ipv6 = options_.address.find(':') != std::string::npos;
  const std::string host = ipv6 ? "[" + options_.address + "]" : options_.address;
  const std::string port = options_.port == 0 ? "*" : std::to_string(options_.port);
  const std::string url = "sip:" + host + ":" + port + ";transport=udp";
  agent_ =
      nta_agent_create(root, URL_STRING_MAKE(url.c_str()), on_message, this, NTATAG_UA(0),
                       NTATAG_MERGE_482(0), NTATAG_CANCEL_487(0), NTATAG_UDP_MTU(65535), TAG_END());
  if (agent_ == nullptr) return;
  const sip_via_t* via = nta_agent_via(agent_);
  host_port_ = host + ":" + (via->v_port != nullptr ? via->v_port : "5060");
}

Proxy::~Proxy() {
  forwardings_.clear();
  if (agent_ != nullptr) nta_agent_destroy(agent_);
}

int Proxy::on_message(void* self, nta_agent_t* agent, msg_t* msg, sip_t* sip) {
  if (sip->sip_request != nullptr) {
    static_cast<Proxy*>(self)->handle_request(msg, sip);
  } else if (sip->sip_via != nullptr && sip->sip_via->v_next != nullptr) {
    // A 2xx that its phone repeats after our transaction ended (RFC 3261 16.7 step 5).
    nta_msg_tsend(agent, msg, nullptr, TAG_END());
  } else {
    nta_msg_discard(agent, msg);
  }
  return 0;
}

bool Proxy::is_ours(const url_t& url) const {
  const std::string_view host = text_of(url.url_host);
  if (ascii::equal_ignoring_case(host, options_.domain)) return true;
  return std::string(host) + ":" + (url.url_port != nullptr ? url.url_port : "5060") == host_port_;
}

void Proxy::pop_route(msg_t* msg, sip_t* sip) const {
  if (sip->sip_route != nullptr && is_ours(*sip->sip_route->r_url)) {
    sip_route_remove(msg, sip);
  }
}

void Proxy::handle_request(msg_t* msg, sip_t* sip) {
  const sip_method_t method = sip->sip_request->rq_method;
  if (sip->sip_max_forwards != nullptr && sip->sip_max_forwards->mf_count == 0 &&
      method != sip_method_ack) {
    nta_msg_treply(agent_, msg, 483, "Too Many Hops", TAG_END());
    return;
  }
  if (method == sip_method_register) {
    registrar_.handle(agent_, msg, sip);
    return;
  }
  if (method == sip_method_cancel) {  // one that matches went to on_cancel
    nta_msg_treply(agent_, msg, 481, "No Such Transaction", TAG_END());
    return;
  }
  pop_route(msg, sip);
  const bool for_us = sip->sip_route == nullptr && is_ours(*sip->sip_request->rq_url) &&
                      text_of(sip->sip_request->rq_url->url_user).empty();
  if (for_us && method != sip_method_ack) {
    nta_msg_treply(agent_, msg, method == sip_method_options ? 200 : 405,
                   method == sip_method_options ? "OK" : "Not Allowed Here", TAG_END());
    return;
  }
  const std::vector<Target> targets = find_targets(*sip);
  if (method == sip_method_ack) {
    // For a 2xx, so it has no transaction here. It follows the dialog's route to one place.
    if (targets.size() == 1 && prepare(msg, targets.front())) {
      nta_msg_tsend(agent_, msg, nullptr, TAG_END());
    } else {
      nta_msg_discard(agent_, msg);
    }
    return;
  }
  if (targets.empty()) {
    const bool known = registrar_.knows(text_of(sip->sip_request->rq_url->url_user));
    nta_msg_treply(agent_, msg, known ? 480 : 404, known ? "Not Registered Now" : "Nobody Here",
                   TAG_END());
    return;
  }
  forward(msg, sip, targets);
}

std::vector<Proxy::Target> Proxy::find_targets(const sip_t& sip) {
  const url_t& uri = *sip.sip_request->rq_url;
  const bool in_dialog = sip.sip_to->a_tag != nullptr;
  if (sip.sip_route != nullptr || (in_dialog && !is_ours(uri))) return {Target{}};

  const std::string user(text_of(uri.url_user));
  char instance[256] = "";
  if (uri.url_params != nullptr) url_param(uri.url_params, "gr", instance, sizeof instance);
  // Inside a dialog too: a caller that ignores Contact and Record-Route still finds its phone.
  if (find_number(user) != nullptr) {
    return {Target{"sip:" + user + "@" + phones_, {}, ""}};
  }
  std::vector<Target> targets;
  for (const Binding& binding : registrar_.find(user, instance)) {
    targets.push_back(Target{binding.contact, binding.path, user});
  }
  return targets;
}

// RFC 3261 16.6 steps 2 to 6 for one copy of the request.
bool Proxy::prepare(msg_t* msg, const Target& target) {
  sip_t* sip = sip_object(msg);
  su_home_t* home = msg_home(msg);
  if (!target.uri.empty()) {
    sip_request_t* line =
        sip_request_create(home, sip->sip_request->rq_method, sip->sip_request->rq_method_name,
                           URL_STRING_MAKE(target.uri.c_str()), nullptr);
    if (line == nullptr || sip_header_insert(msg, sip, reinterpret_cast<sip_header_t*>(line)) < 0) {
      return false;
    }
  }
  sip_max_forwards_t hops;
  sip_max_forwards_init(&hops);
  hops.mf_count = sip->sip_max_forwards != nullptr && sip->sip_max_forwards->mf_count > 0
                      ? sip->sip_max_forwards->mf_count - 1
                      : kMaxForwards;
  if (sip_add_dup(msg, sip, reinterpret_cast<const sip_header_t*>(&hops)) < 0) return false;
  for (const std::string& value : target.path) {
    if (sip_add_make(msg, sip, sip_route_class, value.c_str()) < 0) return false;
  }
  const sip_method_t method = sip->sip_request->rq_method;
  if (sip->sip_to->a_tag == nullptr &&
      (method == sip_method_invite || method == sip_method_subscribe)) {
    sip_record_route_t* own = sip_record_route_make(home, ("<sip:" + host_port_ + ";lr>").c_str());
    if (own == nullptr || sip_header_insert(msg, sip, reinterpret_cast<sip_header_t*>(own)) < 0) {
      return false;
    }
  }
  return true;
}

void Proxy::forward(msg_t* msg, sip_t* sip, const std::vector<Target>& targets) {
  const bool invite = sip->sip_request->rq_method == sip_method_invite;
  if (invite && sip->sip_to->a_tag == nullptr) {
    write_event(JsonLine("invite")
                    .add("call_id", sip->sip_call_id->i_id)
                    .add("from", text_of(sip->sip_from->a_url->url_user))
                    .add("to", text_of(sip->sip_request->rq_url->url_user))
                    .add("targets", targets.size()));
  }
  nta_incoming_t* incoming = nta_incoming_create(agent_, nullptr, msg, sip, TAG_END());
  if (incoming == nullptr) return;
  if (invite) nta_incoming_treply(incoming, SIP_100_TRYING, TAG_END());

  forwardings_.push_back(std::make_unique<Forwarding>());
  Forwarding& forwarding = *forwardings_.back();
  forwarding.proxy = this;
  forwarding.incoming = incoming;
  nta_incoming_bind(incoming, on_cancel, &forwarding);

  msg_t* request = nta_incoming_getrequest(incoming);
  for (const Target& target : targets) start_branch(forwarding, request, target);
  msg_destroy(request);
  finish(forwarding);  // in case no branch could be started
}

void Proxy::start_branch(Forwarding& forwarding, msg_t* request, const Target& target) {
  auto branch = std::make_unique<Branch>();
  branch->forwarding = &forwarding;
  branch->target = target;
  msg_t* copy = msg_dup(request);
  if (copy != nullptr && prepare(copy, target)) {
    branch->outgoing =
        nta_outgoing_mcreate(agent_, on_response, branch.get(), nullptr, copy, TAG_END());
  }
  if (branch->outgoing == nullptr) {
    if (copy != nullptr) msg_destroy(copy);
    finish_branch(*branch, 503, nullptr);
    return;
  }
  forwarding.branches.push_back(std::move(branch));
}

int Proxy::on_cancel(void* magic, nta_incoming_t*, const sip_t* sip) {
  if (sip != nullptr && sip->sip_request != nullptr &&
      sip->sip_request->rq_method == sip_method_cancel) {
    static_cast<Forwarding*>(magic)->cancel_all();
  }
  return 0;
}

int Proxy::on_response(void* magic, nta_outgoing_t* outgoing, const sip_t*) {
  Branch& branch = *static_cast<Branch*>(magic);
  Forwarding& forwarding = *branch.forwarding;
  const int status = nta_outgoing_status(outgoing);
  msg_t* response = nta_outgoing_getresponse(outgoing);
  if (status >= 200) {
    branch.finished = true;
    forwarding.proxy->finish_branch(branch, status, response);
    forwarding.proxy->finish(forwarding);
    return 0;
  }
  if (response == nullptr) return 0;
  if (forwarding.answered || status == 100) {
    msg_destroy(response);
    return 0;
  }
  sip_via_remove(response, sip_object(response));
  nta_incoming_mreply(forwarding.incoming, response);
  return 0;
}

// Takes the response, which may be null.
void Proxy::finish_branch(Branch& branch, int status, msg_t* response) {
  Forwarding& forwarding = *branch.forwarding;
  // The edge says that this flow is gone for good (RFC 5626 5.3, 11.2).
  if (status == 430 || status == 410) {
    registrar_.remove(branch.target.user, branch.target.uri);
  }
  if (status < 300 && response != nullptr) {
    if (forwarding.answered) {
      nta_msg_tsend(agent_, response, nullptr, TAG_END());
      return;
    }
    forwarding.answered = true;
    sip_via_remove(response, sip_object(response));
    nta_incoming_mreply(forwarding.incoming, response);
    forwarding.cancel_all();
    return;
  }
  if (status >= 600) forwarding.cancel_all();
  if (forwarding.best_status == 0 || preference(status) < preference(forwarding.best_status)) {
    std::swap(forwarding.best, response);
    forwarding.best_status = status;
  }
  if (response != nullptr) msg_destroy(response);
}

// Answers with the best response and forgets the request once all branches are done.
void Proxy::finish(Forwarding& forwarding) {
  const bool waiting = std::any_of(forwarding.branches.begin(), forwarding.branches.end(),
                                   [](const auto& branch) { return !branch->finished; });
  if (waiting) return;
  if (!forwarding.answered) {
    forwarding.answered = true;
    // 430 is between a registrar and its edge; the caller learns 480 (RFC 5626 5.3.1).
    const bool usable = forwarding.best != nullptr && forwarding.best_status != 430 &&
                        sip_object(forwarding.best)->sip_via != nullptr &&
                        sip_object(forwarding.best)->sip_via->v_next != nullptr;
    if (usable) {
      sip_via_remove(forwarding.best, sip_object(forwarding.best));
      nta_incoming_mreply(forwarding.incoming, std::exchange(forwarding.best, nullptr));
    } else {
      nta_incoming_treply(forwarding.incoming, SIP_480_TEMPORARILY_UNAVAILABLE, TAG_END());
    }
  }
  std::erase_if(forwardings_, [&](const auto& own) { return own.get() == &forwarding; });
}

}  // namespace ringway::lab
