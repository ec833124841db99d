// The softphone that the tests drive: JsSIP, SIP.js or Janus with a generated tone instead of a microphone.

import JsSIP from 'jssip';
import {
  Inviter, Registerer, SessionState, UserAgent, Web,
} from 'sip.js';
import janusPhone from './janus.js';

const emit = (type, detail = {}) => window.report({ type, ...detail });

let context;
let frequency = 440;
let analyser;

function audio() {
  context ??= new AudioContext({ sampleRate: 48000 });
  return context;
}

// A stream with a steady tone; no microphone, so no echo canceller either.
function toneStream() {
  const source = audio().createOscillator();
  source.frequency.value = frequency;
  const gain = audio().createGain();
  gain.gain.value = 0.4;
  const destination = audio().createMediaStreamDestination();
  source.connect(gain).connect(destination);
  source.start();
  return destination.stream;
}

// A remote stream reaches WebAudio only while a (muted) media element plays it.
function listen(stream) {
  const element = document.createElement('audio');
  element.muted = true;
  element.autoplay = true;
  element.srcObject = stream;
  document.body.append(element);
  element.play();
  analyser = audio().createAnalyser();
  analyser.fftSize = 8192;
  analyser.smoothingTimeConstant = 0;
  audio().createMediaStreamSource(stream).connect(analyser);
}

let agent; // JsSIP.UA or SIP.js UserAgent
let registerer;
let session;
let kind;

function watchPeer(connection) {
  connection.addEventListener('track', (event) => listen(event.streams[0] ?? new MediaStream([event.track])));
  connection.addEventListener('connectionstatechange', () => emit('peer', { state: connection.connectionState }));
}

// ---- JsSIP ------------------------------------------------------------------------------------

function adoptJssip(rtcSession) {
  session = rtcSession;
  session.on('peerconnection', ({ peerconnection }) => watchPeer(peerconnection));
  if (session.connection) watchPeer(session.connection);
  session.on('progress', ({ originator, response }) => emit('progress', { originator, status: response?.status_code }));
  session.on('accepted', () => emit('accepted'));
  session.on('confirmed', () => emit('confirmed'));
  session.on('hold', ({ originator }) => emit('hold', { originator }));
  session.on('unhold', ({ originator }) => emit('unhold', { originator }));
  session.on('newInfo', ({ originator, info }) => {
    if (originator === 'remote') emit('info', { contentType: info.contentType, body: info.body });
  });
  session.on('refer', (event) => { emit('refer'); event.accept(); });
  session.on('ended', ({ originator, cause }) => emit('ended', { originator, cause }));
  session.on('failed', ({ originator, cause, message }) => emit('failed', {
    originator, cause, status: message?.status_code, reason: message?.reason_phrase,
  }));
}

const jssip = {
  peer: () => session.connection,
  start({ server, uri, password, register = true, registrarServer, instance }) {
    const socket = new JsSIP.WebSocketInterface(server);
    agent = new JsSIP.UA({
      sockets: [socket], uri, password, register, registrar_server: registrarServer, instance_id: instance,
      connection_recovery_min_interval: 1, connection_recovery_max_interval: 2,
    });
    agent.on('connected', () => emit('connected'));
    agent.on('disconnected', ({ code, reason }) => emit('disconnected', { code, reason }));
    agent.on('registered', ({ response }) => emit('registered', { contact: response.getHeaders('Contact') }));
    agent.on('registrationFailed', ({ cause, response }) => emit('registrationFailed', {
      cause, status: response?.status_code,
    }));
    agent.on('newRTCSession', (event) => {
      if (event.originator === 'remote') {
        adoptJssip(event.session);
        emit('incoming', { from: event.request.from.uri.toString(), sdp: event.request.body });
      }
    });
    agent.on('newMessage', ({ originator, request }) => {
      if (originator === 'remote') emit('message', { body: request.body });
    });
    agent.start();
  },
  call({ target }) {
    const made = agent.call(target, {
      mediaStream: toneStream(), pcConfig: { iceServers: [] },
      eventHandlers: {},
    });
    adoptJssip(made);
  },
  answer() {
    session.answer({ mediaStream: toneStream(), pcConfig: { iceServers: [] } });
  },
  refuse({ status = 486 }) { session.terminate({ status_code: status }); },
  hangUp() { session.terminate(); },
  // JsSIP's own hold event comes before the other side's answer.
  hold() { return session.hold({ useUpdate: false }, () => emit('held')); },
  resume() { session.unhold({ useUpdate: false }, () => emit('resumed')); },
  digits({ tones, type = 'RFC2833' }) {
    session.sendDTMF(tones, { transportType: type });
  },
  refer({ target }) {
    session.refer(target, {
      eventHandlers: {
        requestSucceeded: () => emit('referTaken'),
        requestFailed: ({ cause }) => emit('referFailed', { cause }),
        accepted: () => emit('referDone'),
      },
    });
  },
  message({ target, body }) { agent.sendMessage(target, body); },
  info({ contentType, body }) { session.sendInfo(contentType, body); },
  stop() { agent.stop(); },
};

// ---- SIP.js -----------------------------------------------------------------------------------

const sipjsHandler = Web.defaultSessionDescriptionHandlerFactory(async () => toneStream());

function adoptSipjs(made) {
  session = made;
  session.delegate = {
    onSessionDescriptionHandler: (handler) => watchPeer(handler.peerConnection),
    onBye: (bye) => bye.accept(),
    onRefer: (refer) => { emit('refer'); refer.accept(); },
  };
  session.stateChange.addListener((state) => {
    if (state === SessionState.Established) emit('confirmed');
    if (state === SessionState.Terminated) emit('ended');
  });
}

const sipjs = {
  peer: () => session.sessionDescriptionHandler.peerConnection,
  async start({ server, uri, password, register = true, expires = 300 }) {
    const parsed = UserAgent.makeURI(uri);
    agent = new UserAgent({
      uri: parsed, authorizationUsername: parsed.user, authorizationPassword: password, logBuiltinEnabled: false,
      transportOptions: { server }, sessionDescriptionHandlerFactory: sipjsHandler,
      sessionDescriptionHandlerFactoryOptions: {
        peerConnectionConfiguration: { iceServers: [] }, iceGatheringTimeout: 1000,
      },
      delegate: {
        onConnect: () => emit('connected'),
        onDisconnect: (error) => emit('disconnected', { reason: String(error) }),
        onInvite: (invitation) => {
          adoptSipjs(invitation);
          emit('incoming', { from: invitation.remoteIdentity.uri.toString(), sdp: invitation.body });
        },
        onMessage: (message) => { message.accept(); emit('message', { body: message.request.body }); },
      },
    });
    await agent.start();
    if (register) {
      registerer = new Registerer(agent, { expires });
      await registerer.register({
        requestDelegate: {
          onAccept: (response) => emit('registered', { contact: response.message.getHeaders('contact') }),
          onReject: (response) => emit('registrationFailed', { status: response.message.statusCode }),
        },
      });
    }
  },
  async call({ target }) {
    const made = new Inviter(agent, UserAgent.makeURI(target));
    adoptSipjs(made);
    await made.invite({
      requestDelegate: {
        onProgress: (response) => emit('progress', { status: response.message.statusCode }),
        onAccept: () => emit('accepted'),
        onReject: (response) => emit('failed', { status: response.message.statusCode }),
      },
    });
  },
  async answer() { await session.accept(); },
  async refuse({ status = 486 }) { await session.reject({ statusCode: status }); },
  async hangUp() {
    if (session.state === SessionState.Established) await session.bye();
    else if (session instanceof Inviter) await session.cancel();
    else await session.reject();
  },
  // False while another re-INVITE is under way, as JsSIP says it. SIP.js itself would set its own
  // description before it finds out, and could not offer again.
  async hold() {
    const { reinviteUserAgentServer, reinviteUserAgentClient } = session.dialog;
    if (reinviteUserAgentServer || reinviteUserAgentClient || sipjs.peer().signalingState !== 'stable') return false;
    await session.invite({
      sessionDescriptionHandlerOptions: { hold: true }, sessionDescriptionHandlerModifiers: [Web.holdModifier],
      requestDelegate: { onAccept: () => emit('held') },
    });
    return true;
  },
  async resume() {
    await session.invite({
      sessionDescriptionHandlerOptions: { hold: false }, sessionDescriptionHandlerModifiers: [],
      requestDelegate: { onAccept: () => emit('resumed') },
    });
  },
  async digits({ tones }) { session.sessionDescriptionHandler.sendDtmf(tones); },
  async refer({ target }) {
    await session.refer(UserAgent.makeURI(target), {
      requestDelegate: { onAccept: () => emit('referTaken'), onReject: () => emit('referFailed') },
      onNotify: (notification) => {
        notification.accept();
        if (/SIP\/2.0 200/.test(notification.request.body)) emit('referDone');
      },
    });
  },
  async stop() { await agent.stop(); },
};

// ---- what the driver calls --------------------------------------------------------------------

const libraries = { jssip, sipjs, janus: janusPhone({ emit, toneStream, watchPeer }) };
const peer = () => libraries[kind].peer();

const common = {
  // The strongest frequency of what arrives, and its level in dB.
  hear() {
    if (!analyser) return { frequency: 0, level: -200 };
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    let best = 1;
    for (let index = 1; index < bins.length; index += 1) if (bins[index] > bins[best]) best = index;
    return { frequency: (best * audio().sampleRate) / analyser.fftSize, level: bins[best] };
  },
  async statistics() {
    const found = { in: 0, out: 0 };
    (await peer().getStats()).forEach((entry) => {
      if (entry.type === 'inbound-rtp') {
        found.in += entry.packetsReceived;
        found.lost = entry.packetsLost;
      }
      if (entry.type === 'outbound-rtp') found.out += entry.packetsSent;
      if (entry.type === 'transport') {
        found.dtls = entry.dtlsState;
        found.ice = entry.iceState;
        found.dtlsRole = entry.dtlsRole;
        found.srtp = entry.srtpCipher;
      }
      if (entry.type === 'codec' && entry.mimeType) found.codec = entry.mimeType;
    });
    return found;
  },
  descriptions() {
    return { local: peer().localDescription?.sdp, remote: peer().remoteDescription?.sdp };
  },
  // Cuts the socket without the library's knowledge, as a lost network does.
  cut() {
    for (const socket of window.sockets) if (socket.readyState < 2) socket.close();
  },
};

window.phone = async (command, options = {}) => {
  if (command === 'start') {
    kind = options.library;
    frequency = options.frequency ?? 440;
    await audio().resume();
  }
  const table = libraries[kind] ?? jssip;
  return (table[command] ?? common[command])(options);
};

JsSIP.debug.disable();
emit('ready');
