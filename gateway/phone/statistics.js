// The few numbers out of RTCPeerConnection.getStats() that tell whether a call is healthy.

export async function readStatistics(connection) {
  const result = {
    ice: connection.iceConnectionState,
    dtls: "new",
    cipher: "",
    codec: "",
    packetsSent: 0,
    bytesSent: 0,
    packetsReceived: 0,
    bytesReceived: 0,
    packetsLost: 0,
    jitterMs: null,
    roundTripMs: null,
    candidates: "",
  };
  const report = await connection.getStats();
  let codecId;
  for (const entry of report.values()) {
    if (entry.type === "outbound-rtp" && entry.kind === "audio") {
      result.packetsSent = entry.packetsSent;
      result.bytesSent = entry.bytesSent;
      codecId ??= entry.codecId;
    } else if (entry.type === "inbound-rtp" && entry.kind === "audio") {
      result.packetsReceived = entry.packetsReceived;
      result.bytesReceived = entry.bytesReceived;
      result.packetsLost = entry.packetsLost;
      result.jitterMs = entry.jitter * 1000;
      codecId = entry.codecId ?? codecId;
    } else if (entry.type === "transport") {
      result.dtls = entry.dtlsState ?? result.dtls;
      result.cipher = entry.srtpCipher ?? "";
      readPair(report, entry.selectedCandidatePairId, result);
    } else if (entry.type === "candidate-pair" && entry.selected) {
      readPair(report, entry.id, result);
    }
  }
  const codec = report.get(codecId);
  if (codec) result.codec = `${codec.mimeType.split("/")[1]} ${codec.clockRate / 1000} kHz`;
  return result;
}

function readPair(report, id, result) {
  const pair = report.get(id);
  if (!pair) return;
  if (pair.currentRoundTripTime !== undefined) result.roundTripMs = pair.currentRoundTripTime * 1000;
  const local = report.get(pair.localCandidateId);
  const remote = report.get(pair.remoteCandidateId);
  if (local && remote) result.candidates = `${local.candidateType} – ${remote.candidateType}`;
}
