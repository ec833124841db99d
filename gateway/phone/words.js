// Failures in the words of the person who sits in front of the page.

const byStatus = {
  400: "The other side did not understand the call.",
  401: "Wrong number or password.",
  403: "This line may not do that: check number and password.",
  404: "Nobody has this number.",
  406: "The other side cannot take this kind of call.",
  407: "Wrong number or password.",
  408: "No answer from the other side.",
  415: "The other side cannot take this kind of call.",
  430: "The other phone lost its connection.",
  480: "The other phone is not reachable right now.",
  481: "The call no longer exists there.",
  486: "Busy.",
  487: "The call was cancelled.",
  488: "No common audio format with the other side.",
  500: "The server behind the gateway failed.",
  502: "The server behind the gateway gave a broken answer.",
  503: "The gateway cannot set up calls now: the SIP server or the media relay behind it is down.",
  504: "The server behind the gateway does not answer.",
  603: "The call was declined.",
};

const byCause = {
  "Connection Error": "The connection to the gateway broke.",
  "Request Timeout": "The gateway did not answer in time.",
  "No Answer": "No answer.",
  Busy: "Busy.",
  Rejected: "The call was declined.",
  Unavailable: "The other phone is not reachable right now.",
  "Not Found": "Nobody has this number.",
  Canceled: "The call was cancelled.",
  Expires: "Nobody answered in time.",
  "No ACK": "The other side never confirmed the answer.",
  "User Denied Media Access": "The browser does not allow this page to use the microphone.",
  "WebRTC Error": "The browser could not set up audio.",
  "Bad Media Description": "The answer's audio description is unusable.",
  "Missing SDP": "The answer came without an audio description.",
  "Incompatible SDP": "No common audio format with the other side.",
  "RTP Timeout": "The audio stopped arriving.",
  "Authentication Error": "Wrong number or password.",
};

export function describeFailure({ cause, message }) {
  const status = message?.status_code;
  if (status && byStatus[status]) return `${byStatus[status]} (${status})`;
  if (status) return `The call failed: ${message.reason_phrase || cause} (${status}).`;
  return byCause[cause] ?? `The call failed: ${cause}.`;
}

export function describeMicrophone(error) {
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The browser refused the microphone, so a tone is sent. Allow it beside the address bar and call again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No microphone: sending a tone.";
    case "NotReadableError":
      return "Another program holds the microphone, so a tone is sent.";
    case "NoMediaDevices":
      return "Browsers give the microphone to https pages only, so a tone is sent.";
    default:
      return "The microphone does not work, so a tone is sent.";
  }
}

export function describeDisconnect(everConnected) {
  return everConnected
    ? "The connection to the gateway broke; trying again."
    : `No WebSocket to ${location.host}. Is the gateway running, and did you accept its certificate for exactly this address? Open https://${location.host}/ anew to be asked again.`;
}
