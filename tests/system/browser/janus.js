// A softphone whose SIP is Janus's: it speaks Janus's API over a WebSocket, and WebRTC with Janus.
// https://janus.conf.meetecho.com/docs/rest.html and sip.html say the messages.

export default function janusPhone({ emit, toneStream, watchPeer }) {
  let socket;
  let session;
  let handle;
  let connection;
  let offer; // of the call that rings
  let srtp; // undefined, "sdes_optional" or "sdes_mandatory"
  let number = 0;
  const waiting = new Map(); // transaction to what takes its answer

  function send(message) {
    number += 1;
    const transaction = String(number);
    socket.send(JSON.stringify({
      transaction, session_id: session, handle_id: handle, ...message,
    }));
    return transaction;
  }
  const ask = (message) => new Promise((resolve) => { waiting.set(send(message), resolve); });
  const request = (body, jsep) => { send({ janus: 'message', body, jsep }); };

  // The description with all its candidates, as Janus takes it.
  async function described(description) {
    await connection.setLocalDescription(description);
    if (connection.iceGatheringState !== 'complete') {
      await new Promise((resolve) => {
        connection.addEventListener('icegatheringstatechange', () => {
          if (connection.iceGatheringState === 'complete') resolve();
        });
      });
    }
    const { type, sdp } = connection.localDescription;
    return { type, sdp, trickle: false };
  }

  function connect() {
    connection?.close();
    connection = new RTCPeerConnection({ iceServers: [] });
    watchPeer(connection);
    const stream = toneStream();
    for (const track of stream.getTracks()) connection.addTrack(track, stream);
  }

  async function answerTo(description) {
    await connection.setRemoteDescription(description);
    return described(await connection.createAnswer());
  }

  const told = {
    registered() { emit('registered'); },
    registration_failed({ code }) { emit('registrationFailed', { status: code }); },
    ringing() { emit('progress', { status: 180 }); },
    async progress(result, jsep) {
      if (jsep) await connection.setRemoteDescription(jsep);
      emit('progress', { status: 183 });
    },
    incomingcall({ username, srtp: wanted }, jsep) {
      offer = jsep;
      emit('incoming', { from: username, srtp: wanted, sdp: jsep?.sdp });
    },
    async accepted(result, jsep) {
      if (jsep) await connection.setRemoteDescription(jsep);
      emit('confirmed');
    },
    // The other side offers anew: the page answers, not Janus by itself.
    async updatingcall(result, jsep) {
      request({ request: 'update' }, await answerTo(jsep));
      emit('reoffered', { sdp: jsep.sdp });
    },
    message({ content }) { emit('message', { body: content }); },
    messagedelivery({ code }) { emit('delivered', { status: code }); },
    info({ type, content }) { emit('info', { contentType: type, body: content }); },
    hangup({ code, reason }) {
      connection?.close(); // Janus leaves that to the page
      emit('ended', { status: code, reason });
    },
  };

  async function heard({ data }) {
    const message = JSON.parse(data);
    if (message.janus === 'success' || message.janus === 'error') {
      if (message.janus === 'error') emit('refused', message.error);
      waiting.get(message.transaction)?.(message);
      waiting.delete(message.transaction);
    } else if (message.janus === 'event') {
      const { result, error, error_code: code } = message.plugindata.data;
      if (error) emit('refused', { code, reason: error });
      await told[result?.event]?.(result, message.jsep);
    }
  }

  return {
    peer: () => connection,
    async start({ server, uri, password, proxy, srtp: wanted }) {
      srtp = wanted ?? undefined; // Janus takes no null
      socket = new WebSocket(server, 'janus-protocol');
      socket.addEventListener('message', heard);
      await new Promise((resolve, reject) => {
        socket.addEventListener('open', resolve);
        socket.addEventListener('error', reject);
      });
      session = (await ask({ janus: 'create' })).data.id;
      handle = (await ask({ janus: 'attach', plugin: 'janus.plugin.sip' })).data.id;
      request({
        request: 'register', username: uri, secret: password, outbound_proxy: proxy,
        proxy: `sip:${uri.split('@')[1]}`, force_tcp: proxy.endsWith('=tcp'),
      });
    },
    async call({ target }) {
      connect();
      const jsep = await described(await connection.createOffer());
      request({
        request: 'call', uri: target, srtp, autoaccept_reinvites: false,
      }, jsep);
    },
    async answer() {
      connect();
      request({ request: 'accept', srtp, autoaccept_reinvites: false }, await answerTo(offer));
    },
    refuse({ status = 486 }) { request({ request: 'decline', code: status }); },
    hangUp() { request({ request: 'hangup' }); },
    hold() { request({ request: 'hold' }); },
    resume() { request({ request: 'unhold' }); },
    info({ contentType, body }) { request({ request: 'info', type: contentType, content: body }); },
    message({ target, body }) { request({ request: 'message', uri: target, content: body }); },
  };
}
