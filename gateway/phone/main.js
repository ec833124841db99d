// The softphone: one line, one call at a time. State lives in `phone`, show*() puts it on the page.

import JsSIP from "jssip";
import { openSource, watchLevel } from "./audio.js";
import { readStatistics } from "./statistics.js";
import { describeDisconnect, describeFailure, describeMicrophone } from "./words.js";

const element = (id) => document.getElementById(id);
const parameters = new URLSearchParams(location.search);
const forcedTone = Number(parameters.get("tone")) || 0;

const phone = {
  ua: null,
  session: null, // the JsSIP session of the one call
  opening: null, // the attempt that waits for the microphone
  source: null, // what we send
  meters: {}, // out, in
  everConnected: false,
  startedAt: 0,
  statistics: null,
};

// For tests and for the curious: the same functions that the buttons call.
window.ringway = {
  get ua() { return phone.ua; },
  get sessions() { return phone.session ? [phone.session] : []; },
  get stats() { return phone.statistics; },
  get registered() { return phone.ua?.isRegistered() ?? false; },
  remoteHz: () => phone.meters.in?.loudestHz() ?? 0,
  register, unregister, call, answer, end, toggleMute, toggleHold, sendDigit,
};

// --- the line

function register({ user, password, domain }) {
  const old = phone.ua;
  phone.ua = null;
  old?.stop();
  phone.everConnected = false;
  let ua;
  try {
    ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(`wss://${location.host}/ws`)],
      uri: `sip:${user}@${domain.includes(":") && !domain.startsWith("[") ? `[${domain}]` : domain}`,
      password,
      register_expires: 300,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 8,
      user_agent: "Ringway phone",
    });
  } catch {
    showLine("bad", "Not registered");
    showNotice("bad", "Number or domain cannot stand in a SIP address.");
    return;
  }
  phone.ua = ua;
  element("account-text").textContent = `${user} at ${domain}`;
  // Events of a line that was replaced are of no interest.
  const on = (event, handler) => ua.on(event, (data) => phone.ua === ua && handler(data));
  on("connecting", () => showWebSocket("connecting", "busy"));
  on("connected", () => {
    phone.everConnected = true;
    showNotice();
    showWebSocket("connected", "on");
  });
  on("disconnected", () => {
    showWebSocket("lost", "bad");
    showRegistration("no");
    showLine("bad", "No connection");
    showNotice("bad", describeDisconnect(phone.everConnected));
  });
  on("registered", () => {
    showRegistration("yes", "on");
    showLine("on", `Ready as ${user}`);
  });
  on("unregistered", () => {
    showRegistration("no");
    if (ua.isConnected()) showLine("off", "Not registered");
  });
  on("registrationFailed", (data) => {
    showRegistration("refused", "bad");
    showLine("bad", "Not registered");
    if (phone.ua.isConnected()) showNotice("bad", `Registration: ${describeFailure(data)}`);
  });
  on("newRTCSession", ({ originator, session }) => {
    if (originator === "remote") offerCall(session);
  });
  showLine("busy", `Registering ${user}`);
  ua.start();
}

function unregister() {
  phone.ua?.unregister();
}

// --- the call

async function call(target) {
  if (!target || phone.session || phone.opening || !phone.ua) return;
  showNotice();
  showCall("calling", target, "Opening the audio …");
  const source = await openAudio();
  if (!source) return;
  try {
    const session = phone.ua.call(target, { ...mediaOptions(), mediaStream: source.stream });
    take(session);
  } catch {
    closeAudio();
    showIdle(target, "This is not a number that can be called.");
  }
}

function offerCall(session) {
  if (phone.session || phone.opening) {
    session.terminate({ status_code: 486, reason_phrase: "Busy Here" });
    return;
  }
  take(session);
  showNotice();
  showCall("incoming", callerName(session), "is calling you");
  element("do-answer").focus();
}

async function answer() {
  const { session } = phone;
  if (session?.direction !== "incoming" || session.isEstablished() || phone.opening) return;
  showCall("calling", callerName(session), "Opening the audio …");
  const source = await openAudio();
  if (!source || phone.session !== session || session.isEnded()) return;
  session.answer({ ...mediaOptions(), mediaStream: source.stream });
}

function mediaOptions() {
  return { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } };
}

function take(session) {
  phone.session = session;
  const on = (event, handler) =>
    session.on(event, (data) => phone.session === session && handler(data));
  const name = callerName(session);
  if (session.connection) watchConnection(session.connection);
  else session.on("peerconnection", ({ peerconnection }) => watchConnection(peerconnection));

  if (session.direction === "outgoing") {
    on("sending", () => showCall("calling", name, "Calling …"));
    on("progress", () => showCall("calling", name, "Ringing …"));
  }
  on("confirmed", () => {
    phone.startedAt ||= Date.now();
    showCall("active", name, "Connected");
  });
  on("accepted", () => {
    phone.startedAt ||= Date.now();
    showCall("active", name, "Connected");
  });
  on("hold", () => showCall("active", name));
  on("unhold", () => showCall("active", name));
  on("muted", () => showCall("active", name));
  on("unmuted", () => showCall("active", name));
  on("ended", ({ originator }) => finish(name, originator === "local" ? "You hung up." : "They hung up."));
  on("failed", (data) => {
    const own = data.originator === "local" && data.cause === "Canceled";
    const missed = session.direction === "incoming" && data.cause === "Canceled";
    finish(name, missed ? "Missed call." : own ? "You cancelled." : describeFailure(data));
  });
}

function watchConnection(connection) {
  connection.addEventListener("track", ({ track, streams }) => {
    const stream = streams[0] ?? new MediaStream([track]);
    element("remote").srcObject = stream;
    element("remote").play().catch(() => {});
    watchLevel(stream).then((meter) => {
      phone.meters.in?.stop();
      phone.meters.in = meter;
    });
  });
}

function finish(name, how) {
  phone.session = null;
  phone.startedAt = 0;
  closeAudio();
  showIdle(name, how);
}

function end() {
  const { session } = phone;
  if (!session && phone.opening) {
    closeAudio();
    showIdle();
  }
  if (!session || session.isEnded()) return;
  if (session.direction === "incoming" && !session.isEstablished()) {
    session.terminate({ status_code: 603, reason_phrase: "Decline" });
  } else {
    session.terminate();
  }
}

function toggleMute() {
  const { session } = phone;
  if (!session?.isEstablished()) return;
  if (session.isMuted().audio) session.unmute({ audio: true });
  else session.mute({ audio: true });
}

function toggleHold() {
  const { session } = phone;
  if (!session?.isEstablished()) return;
  if (session.isOnHold().local) session.unhold();
  else session.hold();
}

function sendDigit(digit) {
  const { session } = phone;
  if (!session?.isEstablished()) return false;
  try {
    session.sendDTMF(digit, { transportType: JsSIP.C.DTMF_TRANSPORT.RFC2833 });
  } catch {
    showNotice("hint", "The other side does not take digits.");
  }
  return true;
}

function callerName(session) {
  const identity = session.remote_identity;
  return identity?.display_name || identity?.uri?.user || "Somebody";
}

// --- audio

// null if the user changed their mind meanwhile.
async function openAudio() {
  closeAudio();
  const attempt = (phone.opening = {});
  const source = await openSource(forcedTone);
  if (phone.opening !== attempt) {
    source.stop();
    return null;
  }
  phone.opening = null;
  phone.source = source;
  if (source.error) showNotice("hint", describeMicrophone(source.error));
  watchLevel(source.stream).then((meter) => {
    if (phone.source === source) phone.meters.out = meter;
    else meter.stop();
  });
  return source;
}

function closeAudio() {
  phone.opening = null;
  phone.source?.stop();
  phone.source = null;
  phone.meters.out?.stop();
  phone.meters.in?.stop();
  phone.meters = {};
  element("remote").srcObject = null;
}

// --- the page

function showLine(state, text) {
  element("line").dataset.state = state;
  element("line-text").textContent = text;
}

function showFact(name, text, state = "") {
  const fact = element(`f-${name}`);
  fact.textContent = text;
  fact.dataset.state = state;
}

function showWebSocket(text, state) {
  showFact("websocket", text, state);
}

function showRegistration(text, state) {
  showFact("registration", text, state);
}

function showNotice(kind, text) {
  const notice = element("notice");
  notice.hidden = !text;
  notice.dataset.kind = kind ?? "";
  notice.textContent = text ?? "";
}

function showIdle(who = "Where to?", how = "Pick a demo number or type one.") {
  showCall("idle", who, how);
  for (const name of ["ice", "dtls", "codec", "rtt"]) showFact(name, "–");
}

// state: idle, calling, incoming, active
function showCall(state, who, how) {
  element("call").dataset.state = state;
  element("who").textContent = who;
  if (how) {
    element("how").textContent = how;
    element("announcement").textContent = `${who}: ${how}`;  // the clock below is not read aloud
  }
  const active = state === "active";
  element("dial").hidden = state !== "idle";
  element("do-call").hidden = state !== "idle";
  element("do-answer").hidden = state !== "incoming";
  element("do-mute").hidden = element("do-hold").hidden = !active;
  element("do-end").hidden = state === "idle";
  element("do-end").textContent =
    { incoming: "Reject", calling: "Cancel" }[state] ?? "Hang up";
  for (const button of document.querySelectorAll("#numbers button")) button.disabled = state !== "idle";
  if (active) {
    showToggle("do-mute", phone.session.isMuted().audio);
    showToggle("do-hold", phone.session.isOnHold().local);
    showTime();
  }
  document.title = state === "idle" ? "Ringway phone" : `${who} – Ringway phone`;
}

function showToggle(id, on) {
  element(id).setAttribute("aria-pressed", String(on));
}

function showTime() {
  const { session } = phone;
  if (!session?.isEstablished()) return;
  const seconds = Math.floor((Date.now() - phone.startedAt) / 1000);
  const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const held = session.isOnHold();
  element("how").textContent =
    held.local ? `On hold · ${time}` : held.remote ? `They hold · ${time}` : `Connected · ${time}`;
}

function showLevels() {
  for (const direction of ["out", "in"]) {
    const level = phone.meters[direction]?.level() ?? 0;
    element(`level-${direction}`).style.transform = `scaleX(${level.toFixed(3)})`;
  }
  setTimeout(showLevels, 80);
}

const iceStates = { connected: "on", completed: "on", failed: "bad", disconnected: "bad" };
const count = new Intl.NumberFormat("en");
const volume = (bytes) => `${count.format(Math.round(bytes / 1000))} kB`;

async function showStatistics() {
  const connection = phone.session?.connection;
  if (connection && connection.connectionState !== "closed") {
    const now = await readStatistics(connection).catch(() => null);
    if (now) {
      phone.statistics = now;
      showFact("ice", now.ice, iceStates[now.ice]);
      element("f-ice").title = now.candidates;
      showFact("dtls", now.dtls, { connected: "on", failed: "bad" }[now.dtls]);
      element("f-dtls").title = now.cipher;
      showFact("codec", now.codec || "–");
      showFact("rtt", now.roundTripMs === null ? "–" : `${now.roundTripMs.toFixed(1)} ms`);
      showFact("sent", count.format(now.packetsSent));
      showFact("sent-data", volume(now.bytesSent));
      showFact("received", count.format(now.packetsReceived));
      showFact("received-data", volume(now.bytesReceived));
      showFact("jitter", now.jitterMs === null ? "–" : `${now.jitterMs.toFixed(1)} ms`);
      showFact("lost", count.format(now.packetsLost), now.packetsLost > 0 ? "bad" : "");
    }
  }
  showTime();
  setTimeout(showStatistics, 500);
}

function showNumbers(numbers) {
  element("demo").hidden = numbers.length === 0;
  for (const { number, what } of numbers) {
    const button = document.createElement("button");
    const digits = document.createElement("b");
    digits.textContent = number;
    button.type = "button";
    button.append(digits, what);
    button.addEventListener("click", () => call(number));
    const item = document.createElement("li");
    item.append(button);
    element("numbers").append(item);
  }
}

// --- start

function listen() {
  element("dial").addEventListener("submit", (event) => {
    event.preventDefault();
    call(element("target").value.trim());
  });
  element("login").addEventListener("submit", (event) => {
    event.preventDefault();
    element("account").open = false;
    sessionStorage.setItem("user", element("user").value.trim());
    register({
      user: element("user").value.trim(),
      password: element("password").value,
      domain: element("domain").value.trim(),
    });
  });
  element("unregister").addEventListener("click", unregister);
  element("do-answer").addEventListener("click", answer);
  element("do-end").addEventListener("click", end);
  element("do-mute").addEventListener("click", toggleMute);
  element("do-hold").addEventListener("click", toggleHold);
  for (const key of document.querySelectorAll("[data-key]")) {
    key.addEventListener("click", () => {
      if (!sendDigit(key.dataset.key) && !phone.session) element("target").value += key.dataset.key;
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") end();
    else if (/^[0-9*#]$/.test(event.key)) sendDigit(event.key);
    else if (event.key === "m") toggleMute();
    else if (event.key === "h") toggleHold();
    else if (event.key === "a") answer();
  });
  addEventListener("pagehide", () => {
    end();
    phone.ua?.stop();
  });
}

async function start() {
  listen();
  showLevels();
  showStatistics();
  let settings = {};
  try {
    const response = await fetch("phone.json", { cache: "no-store" });
    if (response.ok) settings = await response.json();
  } catch {
    // Without the demo's settings this is a plain phone.
  }
  showNumbers(settings.numbers ?? []);
  const user = parameters.get("user") || sessionStorage.getItem("user") ||
    String(200 + Math.floor(Math.random() * 800));
  sessionStorage.setItem("user", user);
  element("user").value = user;
  element("password").value = settings.password ?? "";
  element("domain").value = settings.domain || location.hostname.replace(/^\[|\]$/g, "");
  if (settings.password !== undefined) element("login").requestSubmit();
  else {
    element("account").open = true;
    showLine("off", "Not registered");
  }
}

start();
