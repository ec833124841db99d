#include "gateway/transport/tls_failure.h"

#include <array>

#include "protocol/base/writer.h"

namespace ringway {

void log_tls_failure(Log& log, const ShardListeners& listeners, const Stream& stream,
                     std::string_view event) {
  const tls::SessionError& error = stream.tls.error();
  const EndpointText remote(stream.remote);
  const std::string_view listener =
      stream.listener < listeners.infos.size()
          ? std::string_view(listeners.infos[stream.listener].config.name)
          : std::string_view{};
  log.write(stream.outbound ? LogLevel::Warning : LogLevel::Info, event,
            {{"remote", remote.text()},
             {"listener", listener},
             {"transport", to_text(stream.transport)},
             {"code", tls::name_of(error.code)},
             {"reason", tls::text_of(error.code)},
             {"alert", error.alert != 0 ? tls::alert_text(error.alert) : std::string_view{}},
             {"detail", error.detail},
             {"name", stream.outbound ? std::string_view(stream.outbound->name)
                                      : stream.tls.server_name()}});
}

}  // namespace ringway
