#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/time.h"

namespace ringway {

// systemd's protocols by hand: a datagram to NOTIFY_SOCKET (sd_notify(3)). All of these do nothing
// where there is no service manager, and none of them waits for it.

// Lines like "READY=1".
void notify_service_manager(std::string_view state);

// There is a manager that may keep descriptors. It keeps none unless its unit allows it
// (FileDescriptorStoreMax=), which it does not say.
bool has_service_manager();
// Asks it to keep the descriptor for the process that it starts after this one, under that name
// (FDSTORE=1). The same socket is kept once, however often it is given.
void keep_descriptor(const std::string& name, int descriptor);
// It should close what it keeps under that name (FDSTOREREMOVE=1).
void forget_descriptors(const std::string& name);

// How long it waits for WATCHDOG=1 of this process before it ends it (WATCHDOG_USEC, WATCHDOG_PID);
// nullopt: it does not watch.
std::optional<Duration> watchdog_patience();

}  // namespace ringway
